package harness

import "testing"

// Pair is the smallest world with traffic: two machines on one bridge.
type Pair struct {
	*World
	A, B *VM
	Zone uint16
}

// PairZone is the conntrack zone of a Pair's bridge.
const PairZone = 10

// SwitchedPair is a pair on a learning switch, br0.
func SwitchedPair(t testing.TB) *Pair {
	t.Helper()
	p := newPair(t)
	p.Switch("br0", Pipeline{Zone: p.Zone})
	p.greet()
	return p
}

// WiredPair is a pair at the ends of a virtual wire, br0.
func WiredPair(t testing.TB) *Pair {
	t.Helper()
	p := newPair(t)
	p.Wire("br0", Pipeline{Zone: p.Zone}, p.A, p.B)
	p.greet()
	return p
}

func newPair(t testing.TB) *Pair {
	t.Helper()
	w := New(t)
	w.Bridge("br0")
	return &Pair{World: w, A: w.AddVM("br0", "vm1", VMConfig{}), B: w.AddVM("br0", "vm2", VMConfig{}), Zone: PairZone}
}

// greet pings until both families pass, so that addresses and ports are learnt.
func (p *Pair) greet() {
	p.T.Helper()
	for _, v6 := range []bool{false, true} {
		p.A.Ping(p.T, p.B.Addr(v6))
	}
}
