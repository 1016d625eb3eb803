package tc

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/pkg/tc/tctest"
)

// open gives a test a socket and the ifindexes of two ports with clsact.
func open(t *testing.T) (c *Conn, p0, p1 int32) {
	t.Helper()
	tctest.Namespace(t)
	tctest.Veth(t, "p0", "p1")
	tctest.Run(t, "tc qdisc add dev p0 clsact")
	c, err := Dial(Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, tctest.Index(t, "p0"), tctest.Index(t, "p1")
}

func (c *Conn) one(t *testing.T, fill func(*Batch) error) Result {
	t.Helper()
	var b Batch
	if err := fill(&b); err != nil {
		t.Fatal(err)
	}
	results := make([]Result, 1)
	if err := c.Do(t.Context(), &b, results); err != nil {
		t.Fatal(err)
	}
	return results[0]
}

// atHome moves a filter of the corpus to the ports of a test, and leaves out what
// needs a driver.
func atHome(f Filter, p0, p1 int32) Filter {
	f.Link = p0
	f.Flags = SkipHW
	f.Actions = append([]Action(nil), f.Actions...)
	for i := range f.Actions {
		if f.Actions[i].Kind == KindMirred {
			f.Actions[i].Link = p1
		}
		f.Actions[i].HWStats = 0
	}
	return f
}

// asked cuts from what the kernel reports what it adds on its own.
func asked(f Filter, handle uint32) Filter {
	f.Handle = handle
	f.Flags &^= NotInHW
	f.Actions = append([]Action(nil), f.Actions...)
	for i := range f.Actions {
		a := &f.Actions[i]
		a.Age, a.Idle = 0, 0
		a.Flags &= NoPercpuStats                  // the filter's skip_hw is handed down to its actions
		if a.Index != 9 && a.Kind != KindPolice { // chosen in the corpus
			a.Index = 0
		}
	}
	return f
}

// TestKernelUnderstands gives the corpus to the kernel and reads it back: as the
// echo of the request, by a get and by a dump.
func TestKernelUnderstands(t *testing.T) {
	tctest.NeedFlower(t)
	for name, f := range corpus {
		t.Run(name, func(t *testing.T) {
			c, p0, p1 := open(t)
			if name == "police" {
				tctest.Run(t, "tc actions add action police rate 1mbit burst 10k conform-exceed drop/pipe index 5 skip_hw")
			}
			want := atHome(f, p0, p1)
			r := c.one(t, func(b *Batch) error { return b.AddFilter(&want, Exclusive|Echo) })
			if r.Err != nil || r.Filter == nil {
				t.Fatalf("%+v", r)
			}
			if r.Filter.Handle == 0 || r.Filter.Flags&NotInHW == 0 {
				t.Errorf("echo with handle %d, flags %s", r.Filter.Handle, r.Filter.Flags)
			}
			if diff := cmp.Diff(want, asked(*r.Filter, want.Handle), compare); diff != "" {
				t.Errorf("echo (-asked +reported)\n%s", diff)
			}
			ref := want
			ref.Handle = r.Filter.Handle
			if r := c.one(t, func(b *Batch) error { return b.AddFilter(&ref, Exclusive) }); !errors.Is(r.Err, unix.EEXIST) {
				t.Errorf("second time: %v, want EEXIST", r.Err)
			}
			r = c.one(t, func(b *Batch) error { return b.GetFilter(&ref) })
			if r.Err != nil || r.Filter == nil {
				t.Fatalf("get: %+v", r)
			}
			if diff := cmp.Diff(want, asked(*r.Filter, want.Handle), compare); diff != "" {
				t.Errorf("get (-asked +reported)\n%s", diff)
			}
			dumped(t, c, want, ref.Handle)
			if r := c.one(t, func(b *Batch) error { return b.DeleteFilter(&ref) }); r.Err != nil {
				t.Error(r.Err)
			}
			if r := c.one(t, func(b *Batch) error { return b.GetFilter(&ref) }); !isGone(r.Err) {
				t.Errorf("after deletion: %v", r.Err)
			}
		})
	}
}

// dumped looks for the one filter in a full and in a terse dump.
func dumped(t *testing.T, c *Conn, want Filter, handle uint32) {
	t.Helper()
	for _, terse := range []bool{false, true} {
		n := 0
		s := Scope{Link: want.Link, Parent: want.Parent, Pref: want.Pref, Terse: terse}
		err := c.Filters(t.Context(), s, func(f *Filter) error {
			if f.Handle == 0 {
				return nil // the preference itself
			}
			n++
			if f.Handle != handle || f.Partial || f.Chain != want.Chain || f.Pref != want.Pref || len(f.Actions) != len(want.Actions) {
				t.Errorf("dump, terse %v: %+v", terse, f)
			}
			for i := range f.Actions {
				if f.Actions[i].Cookie != want.Actions[i].Cookie {
					t.Errorf("dump, terse %v: cookie % x", terse, f.Actions[i].Cookie.Bytes())
				}
			}
			if terse {
				return nil
			}
			if diff := cmp.Diff(want, asked(*f, want.Handle), compare); diff != "" {
				t.Errorf("dump (-asked +reported)\n%s", diff)
			}
			return nil
		})
		if err != nil || n != 1 {
			t.Errorf("dump, terse %v: %d filters, %v", terse, n, err)
		}
	}
}

// TestReplace exchanges the action of a filter, and deletes by preference.
func TestReplace(t *testing.T) {
	tctest.NeedFlower(t)
	c, p0, p1 := open(t)
	f := atHome(corpus["tcp4"], p0, p1)
	if r := c.one(t, func(b *Batch) error { return b.AddFilter(&f, Exclusive) }); r.Err != nil {
		t.Fatal(r.Err)
	}
	f.Actions[0].Cookie = NewCookie([]byte("other"))
	r := c.one(t, func(b *Batch) error { return b.AddFilter(&f, Replace|Echo) })
	if r.Err != nil || string(r.Filter.Actions[0].Cookie.Bytes()) != "other" || r.Filter.Handle != f.Handle {
		t.Errorf("%+v", r)
	}
	all := Filter{Link: p0, Parent: Ingress, Pref: f.Pref}
	if r := c.one(t, func(b *Batch) error { return b.DeleteFilter(&all) }); r.Err != nil {
		t.Error(r.Err)
	}
	if r := c.one(t, func(b *Batch) error { return b.GetFilter(&f) }); !isGone(r.Err) {
		t.Errorf("after deletion: %v", r.Err)
	}
}

// isGone knows that the kernel says EINVAL where the chain went with its last
// filter.
func isGone(err error) bool { return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) }
