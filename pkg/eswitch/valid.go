package eswitch

import (
	"errors"
	"fmt"

	"github.com/flowshunt/flowshunt/flows"
)

// check says why a session cannot be turned into rules.
func check(s flows.Session) error {
	if s.ID == 0 || len(s.Rules) == 0 || len(s.Rules) > MaxRules {
		return fmt.Errorf("session %s with %d rules: %w", s.ID, len(s.Rules), ErrInvalid)
	}
	for _, r := range s.Rules {
		if err := checkRule(r); err != nil {
			return &RuleError{Session: s.ID, Rule: r, Op: Add, Err: fmt.Errorf("%w: %w", ErrInvalid, err)}
		}
	}
	return nil
}

func checkRule(r flows.Rule) error {
	switch _, ok := ClassOf(r); {
	case !ok:
		return fmt.Errorf("tuple %s, %s cannot be matched", r.Tuple, r.Tags[0])
	case r.In <= 0 || r.Out <= 0 || r.In == r.Out && !isTransit(r):
		return fmt.Errorf("ports %d and %d", r.In, r.Out)
	case r.Dir > flows.Reply:
		return fmt.Errorf("direction %d", r.Dir)
	}
	if err := checkFrame(r.Frame, true); err != nil || r.Change.IsZero() {
		return err
	}
	return checkChange(r.Change.Value(), r.Tuple)
}

// isTransit reports whether packets come in one tunnel and leave in another: then both
// ends are the same device.
func isTransit(r flows.Rule) bool {
	return !r.Tunnel.IsZero() && !r.Change.IsZero() && !r.Change.Value().Tunnel.IsZero()
}

func checkChange(c flows.Change, before flows.Tuple) error {
	t := c.Tuple
	switch {
	case c.Hops > flows.MaxHops:
		return fmt.Errorf("%d hops, at most %d are possible", c.Hops, flows.MaxHops)
	case t != flows.Tuple{} && (!t.IsValid() || t.IsIPv6() != before.IsIPv6() || t.Proto != before.Proto):
		return fmt.Errorf("tuple %s becomes %s", before, t)
	}
	return checkFrame(c.Frame, false)
}

// checkFrame says what is wrong with a frame as it comes in, or as it goes out.
func checkFrame(f flows.Frame, in bool) error {
	if f.SrcMAC.IsZero() || f.DstMAC.IsZero() {
		return fmt.Errorf("MAC addresses %s and %s", f.SrcMAC, f.DstMAC)
	}
	for i, t := range f.Tags {
		if !validTag(t) || i > 0 && !t.IsZero() && f.Tags[0].IsZero() {
			return fmt.Errorf("tags %+v", f.Tags)
		}
	}
	if f.Tunnel.IsZero() {
		return nil
	}
	return checkTunnel(f.Tunnel.Value(), in)
}

func validTag(t flows.Tag) bool {
	return t.IsZero() || (t.Type == flows.TagCustomer || t.Type == flows.TagProvider) && t.ID < 1<<12 && t.Priority < 8
}

func checkTunnel(t flows.Tunnel, in bool) error {
	switch {
	case !t.Dst.IsValid(), !t.Src.IsValid() && in, t.Src.IsValid() && t.Src.Is4() != t.Dst.Is4():
		return fmt.Errorf("tunnel from %s to %s", t.Src, t.Dst)
	case t.ID >= 1<<24:
		return fmt.Errorf("tunnel with the identifier %#x", t.ID)
	case in && (t.TOS != 0 || t.TTL != 0 || t.Checksum || t.MayBreak):
		return errors.New("an arriving tunnel with what only leaving ones have")
	case len(t.Options) > 252 || len(t.Options)%4 != 0:
		return fmt.Errorf("%d bytes of tunnel options", len(t.Options))
	case t.TOS&3 != 0:
		return fmt.Errorf("tunnel with the TOS %#x", t.TOS)
	}
	return nil
}
