package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// silence is how long nothing may arrive of what was denied.
const silence = 30 * time.Second

// neutronPair are two machines of a network of OVN's, each in a group of its own.
type neutronPair struct {
	*harness.Pair
	ovn     *harness.OVN
	a, b    *harness.LogicalPort // client and server
	clients *harness.Group       // a's: it may send what it likes
	servers *harness.Group       // b's: as well, and gets what rule permits
	rule    harness.Rule
}

func newNeutronPair(t *testing.T) *neutronPair {
	t.Helper()
	w := harness.New(t)
	p := &neutronPair{ovn: w.OVN()}
	p.clients, p.servers = p.ovn.AddGroup(), p.ovn.AddGroup()
	p.permit()
	p.a, p.b = p.ovn.AddVM("vm1", p.clients), p.ovn.AddVM("vm2", p.servers)
	p.Pair = &harness.Pair{World: w, A: p.a.VM, B: p.b.VM}
	return p
}

// permit lets the server get all that is sent to it.
func (p *neutronPair) permit() {
	p.rule = p.servers.Add(harness.Rule{CIDR: "0.0.0.0/0"})
	p.ovn.Sync()
}

// marks are those of a connection's entries, at the client's port and the server's.
func (p *neutronPair) marks(c *talk) (client, server uint32) {
	p.T.Helper()
	for _, end := range []struct {
		port *harness.LogicalPort
		mark *uint32
	}{{p.a, &client}, {p.b, &server}} {
		*end.mark = p.Entry(append(c.filter, "-w", fmt.Sprint(end.port.Zone()))...).Mark
	}
	return client, server
}

// What OVN does by itself: a connection that is denied ends at the next packet of
// the one who opened it, and goes on for as long as only the other end says something.
func TestOVNAlone(t *testing.T) {
	slowly(t)
	p := newNeutronPair(t)
	s := newTalks(p.World, p.A, p.B)
	for i, deny := range []struct {
		name  string
		group *harness.Group
		rule  harness.Rule
	}{
		{"the server may no longer be reached", p.servers, p.rule},
		{"the client may no longer send", p.clients, p.clients.Own[0]},
	} {
		t.Logf("%s:", deny.name)
		all := s.beginAll(uint16(46000+100*i), kinds...)
		for _, c := range all {
			c.hush()
		}
		e := deny.group.Remove(deny.rule)
		harness.Throughout(t, time.Until(e.Stands.Add(silence)), "all but one kind are silent", func() error {
			for _, c := range all {
				if late := c.last().Sub(e.Stands); late > 2*time.Second && c.name != "udp to the client" {
					return fmt.Errorf("%s: a byte %v after it was denied", c.name, late)
				}
			}
			return nil
		})
		for _, c := range all {
			there, back := c.heard()
			client, server := p.marks(c)
			t.Logf("%-18s last byte to the server %s, to the client %s; marks %d and %d", c.name, after(there, e), after(back, e), client, server)
			blocked := map[bool]uint32{true: 1}
			goesOn := c.name == "udp to the client"
			if want := blocked[!goesOn && i == 1]; client != want {
				t.Errorf("%s: mark %d at the client's port, want %d", c.name, client, want)
			}
			if want := blocked[!goesOn && i == 0]; server != want {
				t.Errorf("%s: mark %d at the server's port, want %d", c.name, server, want)
			}
			if late := time.Since(c.last()); goesOn && late > time.Second {
				t.Errorf("%s: no byte for %v", c.name, late)
			}
		}
		for _, c := range all {
			c.Stop()
		}
		deny.group.Add(deny.rule)
		p.ovn.Sync()
	}
}

// The other ways in which OVN takes a permission back end connections as well.
func TestOVNAloneChanges(t *testing.T) {
	slowly(t)
	p := newNeutronPair(t)
	s := newTalks(p.World, p.A, p.B)
	for i, c := range changes() {
		if c.before != nil {
			c.before(p)
		}
		p.ovn.Sync()
		all := s.beginAll(uint16(46000+100*i), kinds[0], kinds[2])
		e := c.deny(p)
		t.Logf("%s: last bytes %v after it stood, which took %v", c.name, silent(t, all, e.Stands, 2*time.Second, 3*time.Second), e.Stands.Sub(e.Ordered))
		for _, c := range all {
			c.Stop()
		}
		c.after(p)
		p.ovn.Sync()
	}
	s.beginAll(46900, kinds...)
}

// No restart of a daemon of OVN stops what is permitted for long.
func TestOVNAloneRestarts(t *testing.T) {
	slowly(t)
	p := newNeutronPair(t)
	s := newTalks(p.World, p.A, p.B)
	all := s.beginAll(46000, kinds[0], kinds[2])
	for _, c := range restarts {
		c.restart(p.ovn)
		p.ovn.Sync()
		goesOn(t, all, 5*time.Second)
		e := p.servers.Remove(p.rule)
		silent(t, all, e.Stands, 2*time.Second, 3*time.Second)
		p.permit()
		harness.Within(t, patience, "permitted again", func() error {
			for _, c := range all {
				if !c.last().After(e.Stands.Add(3 * time.Second)) {
					return fmt.Errorf("%s: silent", c.name)
				}
			}
			return nil
		})
	}
}

// A network service that has lost what denies, denies nothing: OVN by itself cannot tell
// that from what was meant. And one that has an old host denies without a mark.
func TestOVNAloneAnomalies(t *testing.T) {
	slowly(t)
	p := newNeutronPair(t)
	s := newTalks(p.World, p.A, p.B)
	p.servers.Remove(p.rule)
	for i, c := range anomalies[:3] {
		c.wipe(p.ovn)
		all := s.beginAll(uint16(46000+100*i), kinds[0], kinds[2])
		goesOn(t, all, time.Second)
		c.mend(p.ovn)
		stood := time.Now()
		silent(t, all, stood, 2*time.Second, 4*time.Second)
		t.Logf("%s: OVN permits everything", c.name)
	}
	p.permit()
	anomalies[3].wipe(p.ovn)
	anomalies[3].mend(p.ovn)
	p.ovn.AddOldHost("compute-0")
	all := s.beginAll(46900, kinds[0], kinds[2])
	e := p.servers.Remove(p.rule)
	silent(t, all, e.Stands, 2*time.Second, 4*time.Second)
	for _, c := range all {
		if client, server := p.marks(c); client != 0 || server != 0 {
			t.Errorf("%s: marks %d and %d, want none", c.name, client, server)
		}
	}
}

// after says when something arrived last, seen from when a change stood.
func after(c harness.Captured, e harness.Enforced) string {
	if c.Payload == 0 {
		return "never"
	}
	return c.LastPayload.Sub(e.Stands).Round(time.Millisecond).String()
}
