package wire

import (
	"slices"
	"testing"
)

// TestFirstWord: nothing is told before each bridge with a wire was looked at, and what was told
// stays until its bridge says something else.
func TestFirstWord(t *testing.T) {
	var told [][]Status
	k := New(Config{Tell: func(list []Status) { told = append(told, slices.Clone(list)) }})
	a, b := Status{Spec: Spec{Name: "a"}, State: Through}, Status{Spec: Spec{Name: "b"}, State: Closed}
	homes := func(at ...string) {
		k.homes, k.set = make(map[string]home), true
		for i, bridge := range at {
			name := string(rune('a' + i))
			k.homes[name] = home{Spec{Name: name}, bridge}
		}
	}
	want := func(when string, lists ...[]Status) {
		t.Helper()
		for _, list := range told {
			for i := range list {
				list[i].Since, list[i].Detail = a.Since, ""
			}
		}
		if !slices.EqualFunc(told, lists, slices.Equal) {
			t.Errorf("%s: told %+v, want %+v", when, told, lists)
		}
		told = nil
	}
	k.tell()
	want("nobody has said which there are")
	homes("br0", "br1")
	k.tell()
	want("no bridge was looked at")
	k.report("br0", []Status{a})
	want("one was not looked at")
	k.report("br1", []Status{b})
	want("all were", []Status{a, b})
	delete(k.reported, "br1") // its worker ends, and begins again
	k.tell()
	want("it is closed still")
	homes("br0", "br1", "br2")
	a.State = Closed
	k.report("br0", []Status{a})
	want("another wire is none to wait for", []Status{a, b, {Spec: Spec{Name: "c"}}})
	homes()
	k.tell()
	want("none", []Status{})
}

// TestToldBefore: that nothing shall pass any more is told before the flows are others.
func TestToldBefore(t *testing.T) {
	l := newLab(t)
	var k *Keeper
	var flows []string
	k = New(Config{Rundir: l.Rundir, Tell: func(list []Status) {
		if list[0].State == Closed {
			flows = append(flows, l.flows("br0"))
		}
		l.tell(list)
	}})
	l.run(k)
	k.Set([]Spec{w0}, []Bridge{br0})
	l.await("w0", Inspected)
	before := l.flows("br0")
	l.sh("bridge link set dev ifw1 state 0")
	l.await("w0", Closed)
	if len(flows) != 1 || flows[0] != before {
		t.Errorf("%d times, with flows\n%s", len(flows), flows)
	}
	l.eventually("the flows are others", limit, func() bool { return l.flows("br0") != before })
}
