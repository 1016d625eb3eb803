package e2e

import (
	"testing"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// routedPair are machines of two networks with a router between them, which permit all.
type routedPair struct {
	w      *harness.World
	ovn    *harness.OVN
	router *harness.Router
	a, b   *harness.LogicalPort
}

func newRoutedPair(t *testing.T) *routedPair {
	t.Helper()
	w := harness.New(t)
	o := w.OVN()
	left, right, open := o.AddNetwork(1), o.AddNetwork(2), openGroup(o)
	p := &routedPair{w: w, ovn: o, router: o.AddRouter(left, right)}
	p.a = left.AddVM(w, "vm1", harness.VMConfig{Routed: true}, open)
	p.b = right.AddVM(w, "vm2", harness.VMConfig{Routed: true}, open)
	for _, v6 := range []bool{false, true} {
		p.a.Ping(t, p.b.Addr(v6))
	}
	return p
}

// openGroup is a security group that permits everything.
func openGroup(o *harness.OVN) *harness.Group {
	g := o.AddGroup()
	g.Add(harness.Rule{})
	g.Add(harness.Rule{V6: true})
	return g
}

// Machines of one node in two networks, by a distributed router.
func TestRouted(t *testing.T) {
	slowly(t)
	p := newRoutedPair(t)
	at := p.b.Listen(t, "tcp", transferPort, false)
	l := legOf(p.w, p.a.Rep, p.b.Rep)
	for i, v6 := range []bool{false, true} {
		j := setOut(t, direct(p.a.VM, p.b.VM, at, v6), uint16(50000+i), l.next())
		j.offloaded()
		j.bypasses()
	}
}
