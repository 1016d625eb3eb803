package flower

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/tc"
)

// A curtain is a filter for the kernel alone, in front of all of ours at a port, that
// lets everything pass: what stands behind it is for hardware alone.
//
// The kernel refuses skip_sw at a device of software, as that of a tunnel or a bond is:
// it has no driver to ask, while those of NICs hear of its filters by the side
// (flow_indr_dev_register). Rules there must have neither flag, and the kernel executes
// such rules too: until it is known that no NIC has taken them, when one has lost
// them, and in words that are right for hardware only. Behind a curtain it does not.
func (d *Driver) curtain(link int32) tc.Filter {
	cookie := eswitch.EncodeCookie(d.cfg.Generation, 0)
	return tc.Filter{
		Link: link, Parent: tc.Ingress, Pref: d.curtainPreference(), Protocol: tc.ProtocolAll,
		Kind: tc.KindFlower, Handle: 1, Flags: tc.SkipHW,
		// with counters for each CPU: all packets of the slow path come by
		Actions: []tc.Action{{Kind: pass.Kind, Verdict: pass.Verdict, Cookie: tc.NewCookie(cookie[:])}},
	}
}

// curtainPreference is the one before those of guards. Where CheckPreference fails there
// may be none.
func (d *Driver) curtainPreference() uint16 {
	return uint16(max(int(d.cfg.Preference)-eswitch.GuardClasses-1, 0))
}

// isCurtain reports whether a filter is a curtain, of whichever configuration.
func isCurtain(f *tc.Filter) bool {
	if f.Kind != tc.KindFlower || f.Protocol != tc.ProtocolAll || len(f.Actions) != 1 {
		return false
	}
	_, id, ours := eswitch.DecodeCookie(f.Actions[0].Cookie.Bytes())
	return ours && id == 0
}

// drawCurtain makes sure that a port has a curtain, and keeps in mind whether it has.
func (d *Driver) drawCurtain(ctx context.Context, w *worker, link int32) error {
	_, err := w.do(ctx, func(b *tc.Batch) error {
		f := d.curtain(link)
		return b.AddFilter(&f, tc.Exclusive)
	})
	drawn := err == nil
	switch {
	case errors.Is(err, unix.EEXIST):
		if drawn, err = d.findCurtain(ctx, w, link); !drawn && err == nil {
			err = fmt.Errorf("%w: preference %d", eswitch.ErrForeign, d.curtainPreference())
		}
	case errors.Is(err, unix.ENOENT): // there is no cls_flower, and so nothing to hide; see Probe
		err = nil
	}
	d.curtains.put(link, drawn && err == nil)
	return err
}

// needsCurtain reports whether rules at a port are for hardware alone and cannot say so.
func (d *Driver) needsCurtain(ctx context.Context, link int32) (bool, error) {
	if d.cfg.Mode != SkipSW {
		return false, nil
	}
	kind, err := d.kindOf(ctx, link)
	return kind != "", err
}

func (d *Driver) hasCurtain(link int32) bool { return d.cfg.Mode == SkipSW && d.curtains.has(link) }

// findCurtain reports whether a port has a curtain.
func (d *Driver) findCurtain(ctx context.Context, w *worker, link int32) (there bool, err error) {
	if d.curtainPreference() == 0 {
		return false, nil
	}
	s := tc.Scope{Link: link, Parent: tc.Ingress, Pref: d.curtainPreference(), OnChain: true, Terse: true}
	err = w.conn.Filters(ctx, s, func(f *tc.Filter) error {
		there = there || isCurtain(f)
		return nil
	})
	if errors.Is(err, unix.EMSGSIZE) { // of a classifier without a short form
		return false, nil
	}
	return there, err
}

// dropCurtain removes the curtain of a port, if there is one.
func (d *Driver) dropCurtain(ctx context.Context, w *worker, link int32) error {
	d.curtains.put(link, false)
	there, err := d.findCurtain(ctx, w, link)
	if !there || err != nil {
		return err
	}
	_, err = w.do(ctx, func(b *tc.Batch) error {
		f := d.curtain(link)
		return b.DeleteFilter(&f)
	})
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

// liftCurtain is dropCurtain unless rules of ours are left behind it.
func (d *Driver) liftCurtain(ctx context.Context, w *worker, link int32) error {
	there, err := d.findCurtain(ctx, w, link)
	if !there || err != nil {
		return err
	}
	left := false
	err = d.read(ctx, w, eswitch.Scope{Link: link}, func(*eswitch.Found) { left = true })
	if left || err != nil {
		return err
	}
	return d.dropCurtain(ctx, w, link)
}

// checkHidden refuses a filter at no preference of ours that a curtain would keep from
// the packets that it is for.
func (d *Driver) checkHidden(f *tc.Filter) error {
	if f.Pref < d.cfg.Preference || f.Handle == 0 && f.Kind == tc.KindFlower {
		return nil
	}
	if len(f.Actions) > 0 {
		if _, _, ours := eswitch.DecodeCookie(f.Actions[0].Cookie.Bytes()); ours {
			return nil
		}
	}
	return fmt.Errorf("%w: %s at preference %d would be hidden, since the kernel refuses skip_sw at this device", eswitch.ErrForeign, f.Kind, f.Pref)
}

// linkSet is a set of ports. The zero value is empty and ready, also for concurrent use.
type linkSet struct {
	mu    sync.RWMutex
	links map[int32]bool
}

func (s *linkSet) has(link int32) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.links[link]
}

func (s *linkSet) put(link int32, in bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !in {
		delete(s.links, link)
		return
	}
	if s.links == nil {
		s.links = make(map[int32]bool)
	}
	s.links[link] = true
}
