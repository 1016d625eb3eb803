package policy

import (
	"net/netip"

	"github.com/flowshunt/flowshunt/flows"
)

// profiles are decryption profiles, compiled.
type profiles struct {
	list     []Profile
	dst      addresses
	dstPorts numbers
	names    names
	doubtful bitset
}

func newProfiles(list []Profile) profiles {
	b := newBuilder(len(list))
	return profiles{
		list:     list,
		dst:      newAddresses(b, func(i int) []netip.Prefix { return list[i].Dst }),
		dstPorts: newNumbers(b, func(i int) []PortRange { return list[i].DstPorts }),
		names:    newNames(b, func(i int) []string { return list[i].ServerNames }),
		doubtful: b.where(func(i int) bool { return list[i].doubtful }),
	}
}

// uninspectable reports whether nobody can see what a connection carries, c being what is
// known of it.
func (p *profiles) uninspectable(s *flows.Subject, c *flows.Content) truth {
	encrypted, hasName := true, true // or so it may be
	if c.Known {
		encrypted, hasName = isEncrypted(c.Application)
	}
	names := p.names.rest
	switch {
	case c.Known && hasName && c.ServerName == "": // it has one that was not seen
		names = nil
	case c.Known && hasName:
		names = p.names.fit(c.ServerName)
	}
	covered := p.cover(&s.Tuple, names)
	if s.Far != s.Tuple && s.Far.IsValid() {
		covered = max(covered, p.cover(&s.Far, names))
	}
	switch {
	case !encrypted, covered == yes:
		return no
	case !c.Known, covered == maybe:
		return maybe
	}
	return yes
}

// cover reports whether one of names, nil being all, can look into what is addressed so.
func (p *profiles) cover(t *flows.Tuple, names bitset) truth {
	if len(p.list) == 0 {
		return no
	}
	dst, ports := p.dst.fit(t.Dst), p.dstPorts.rest
	if t.Proto.HasPorts() {
		ports = p.dstPorts.fit(t.DstPort)
	}
	covered := no
	for i := range dst {
		some := dst[i] & ports[i]
		if names != nil {
			some &= names[i]
		}
		if some&^p.doubtful[i] != 0 {
			return yes
		}
		if some != 0 {
			covered = maybe
		}
	}
	return covered
}
