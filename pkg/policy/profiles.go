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
}

func newProfiles(list []Profile) profiles {
	b := newBuilder(len(list))
	return profiles{
		list:     list,
		dst:      newAddresses(b, func(i int) []netip.Prefix { return list[i].Dst }),
		dstPorts: newNumbers(b, func(i int) []PortRange { return list[i].DstPorts }),
		names:    newNames(b, func(i int) []string { return list[i].ServerNames }),
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
	switch {
	case !encrypted, p.cover(&s.Tuple, names), s.Far != s.Tuple && s.Far.IsValid() && p.cover(&s.Far, names):
		return no
	case !c.Known:
		return maybe
	}
	return yes
}

// cover reports whether one of names, nil being all, can look into what is addressed so.
func (p *profiles) cover(t *flows.Tuple, names bitset) bool {
	if len(p.list) == 0 {
		return false
	}
	dst, ports := p.dst.fit(t.Dst), p.dstPorts.rest
	if t.Proto.HasPorts() {
		ports = p.dstPorts.fit(t.DstPort)
	}
	for i := range dst {
		if both := dst[i] & ports[i]; both != 0 && (names == nil || both&names[i] != 0) {
			return true
		}
	}
	return false
}
