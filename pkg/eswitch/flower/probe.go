package flower

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/tc"
)

// Probe asks the kernel, at a port that was prepared, whether it has cls_flower
// and act_mirred, and makes it load them. The error has ErrNotSupported in its
// chain if it has not. No rule is made: the one that Probe asks for redirects to
// a device that cannot exist, which the kernel sees last.
func (d *Driver) Probe(ctx context.Context, link int32) error {
	c := eswitch.Change{
		Ref:     eswitch.Ref{Link: link, Class: eswitch.Portlessv6, Handle: 2},
		Session: math.MaxUint64,
		Rule: flows.Rule{
			In: link, Out: math.MaxInt32,
			Tuple: flows.Tuple{Src: netip.IPv6Loopback(), Dst: netip.IPv6Loopback(), Proto: flows.ESP},
		},
	}
	return d.with(ctx, func(w *worker) error {
		_, err := w.do(ctx, func(b *tc.Batch) error {
			if err := d.encode(&w.filter, &c, tc.SkipHW); err != nil { // a driver's opinion comes later
				return err
			}
			return b.AddFilter(&w.filter, tc.Exclusive)
		})
		switch {
		case errors.Is(err, unix.ENODEV):
			return nil
		case errors.Is(err, unix.ENOENT):
			return fmt.Errorf("%w: %w", eswitch.ErrNotSupported, err)
		case err == nil:
			return errors.New("the kernel accepted a redirect to a device that does not exist")
		}
		return fmt.Errorf("ifindex %d: %w", link, err)
	})
}
