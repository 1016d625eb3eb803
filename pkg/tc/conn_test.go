package tc_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/pkg/tc"
	"github.com/flowshunt/flowshunt/pkg/tc/tctest"
)

func dial(t *testing.T, cfg tc.Config) *tc.Conn {
	t.Helper()
	c, err := tc.Dial(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func do(t *testing.T, c *tc.Conn, fill func(b *tc.Batch) error) []tc.Result {
	t.Helper()
	var b tc.Batch
	if err := fill(&b); err != nil {
		t.Fatal(err)
	}
	results := make([]tc.Result, b.Len())
	if err := c.Do(t.Context(), &b, results); err != nil {
		t.Fatal(err)
	}
	return results
}

func one(t *testing.T, c *tc.Conn, fill func(b *tc.Batch) error) tc.Result {
	t.Helper()
	return do(t, c, fill)[0]
}

// TestClsact makes, finds and removes a clsact and an explicit chain.
func TestClsact(t *testing.T) {
	tctest.Namespace(t)
	tctest.Veth(t, "p0", "p1")
	c := dial(t, tc.Config{})
	link := tctest.Index(t, "p0")
	get := func(b *tc.Batch) error { return b.GetIngressQdisc(link) }
	add := func(b *tc.Batch) error { return b.AddClsact(link) }
	chain := func(b *tc.Batch) error { return b.GetChain(link, tc.Ingress, 1<<28-1) }

	if r := one(t, c, get); r.Err != nil || r.Qdisc != nil {
		t.Fatalf("before: %+v", r)
	}
	if r := one(t, c, add); r.Err != nil {
		t.Fatal(r.Err)
	}
	if r := one(t, c, add); !errors.Is(r.Err, unix.EEXIST) {
		t.Fatalf("second: %v, want EEXIST", r.Err)
	}
	if r := one(t, c, get); r.Err != nil || r.Qdisc == nil || r.Qdisc.Kind != tc.KindClsact || !r.Qdisc.OnIngress() || r.Qdisc.Link != link {
		t.Fatalf("after: %+v", r)
	}
	if r := one(t, c, chain); r.Err == nil {
		t.Fatal("a chain exists that nobody made")
	}
	if r := one(t, c, func(b *tc.Batch) error { return b.AddChain(link, tc.Ingress, 1<<28-1) }); r.Err != nil {
		t.Fatal(r.Err)
	}
	if r := one(t, c, chain); r.Err != nil {
		t.Fatal(r.Err)
	}
	var found []tc.Qdisc
	err := c.Qdiscs(t.Context(), func(q tc.Qdisc) error {
		if q.OnIngress() {
			found = append(found, q)
		}
		return nil
	})
	if err != nil || len(found) != 1 || found[0].Link != link {
		t.Fatalf("dump: %+v, %v", found, err)
	}
	if r := one(t, c, func(b *tc.Batch) error { return b.DeleteClsact(link) }); r.Err != nil {
		t.Fatal(r.Err)
	}
	if r := one(t, c, get); r.Err != nil || r.Qdisc != nil {
		t.Fatalf("end: %+v", r)
	}
}

// TestIngressInTheWay meets the other qdisc that can be in this place.
func TestIngressInTheWay(t *testing.T) {
	tctest.Namespace(t)
	tctest.Veth(t, "p0", "p1")
	tctest.Run(t, "tc qdisc add dev p0 ingress")
	c := dial(t, tc.Config{})
	link := tctest.Index(t, "p0")
	r := do(t, c, func(b *tc.Batch) error { return errors.Join(b.AddClsact(link), b.GetIngressQdisc(link)) })
	if !errors.Is(r[0].Err, unix.EEXIST) {
		t.Errorf("got %v, want EEXIST", r[0].Err)
	}
	if r[1].Qdisc == nil || r[1].Qdisc.Kind != "ingress" {
		t.Errorf("got %+v, want an ingress qdisc", r[1].Qdisc)
	}
}

// TestBatchResults sends more than fits into one sendmsg, with refusals in
// between, and gets every result at its place.
func TestBatchResults(t *testing.T) {
	tctest.Namespace(t)
	tctest.Veth(t, "p0", "p1")
	c := dial(t, tc.Config{PerSend: 7})
	link := tctest.Index(t, "p0")
	var b tc.Batch
	for i := range 100 {
		at := link
		if i%3 == 0 {
			at = 999999 // no such device
		}
		if err := b.AddClsact(at); err != nil {
			t.Fatal(err)
		}
	}
	results := make([]tc.Result, 100)
	if err := c.Do(t.Context(), &b, results); err != nil {
		t.Fatal(err)
	}
	for i, r := range results {
		want := error(unix.EEXIST)
		switch {
		case i%3 == 0:
			want = unix.ENODEV
		case i == 1:
			want = nil
		}
		if !errors.Is(r.Err, want) {
			t.Errorf("result %d: %v, want %v", i, r.Err, want)
		}
	}
	var kernel *tc.Error
	if !errors.As(results[2].Err, &kernel) || kernel.Op != "add clsact" || kernel.Message == "" {
		t.Errorf("no words of the kernel in %#v", results[2].Err)
	}
}

// TestRefusalHasWords looks for the kernel's own text in an error.
func TestRefusalHasWords(t *testing.T) {
	tctest.Namespace(t)
	c := dial(t, tc.Config{})
	f := tc.Filter{Link: 1, Parent: tc.Ingress, Pref: 1, Protocol: tc.ProtocolIPv4, Kind: tc.KindFlower}
	r := one(t, c, func(b *tc.Batch) error { return b.AddFilter(&f, tc.Exclusive) })
	if !errors.Is(r.Err, unix.EINVAL) || !strings.Contains(r.Err.Error(), "Parent Qdisc doesn't exists") {
		t.Errorf("got %v, want the kernel to miss a qdisc", r.Err)
	}
}

// foreign makes n filters of a kind that every kernel has.
func foreign(t *testing.T, n int) int32 {
	t.Helper()
	tctest.Namespace(t)
	tctest.Veth(t, "p0", "p1")
	tctest.Run(t, "tc qdisc add dev p0 clsact")
	var script strings.Builder
	for i := range n {
		fmt.Fprintf(&script, "filter add dev p0 ingress pref %d protocol ip u32 match ip dst 10.0.%d.%d/32 flowid 1:1\n", 1+i%50, i/256, i%256)
	}
	path := t.TempDir() + "/batch"
	if err := os.WriteFile(path, []byte(script.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	tctest.Run(t, "tc -b "+path)
	return tctest.Index(t, "p0")
}

// TestDumpForeign reads filters of a kind that is not ours, all and by preference.
func TestDumpForeign(t *testing.T) {
	link := foreign(t, 1000)
	c := dial(t, tc.Config{})
	count := func(s tc.Scope) (leaves int) {
		t.Helper()
		err := c.Filters(t.Context(), s, func(f *tc.Filter) error {
			if f.Kind != "u32" || f.Link != link || !f.Partial {
				return fmt.Errorf("unexpected %+v", f)
			}
			if f.Handle&0xfff != 0 { // not a hash table's own line
				leaves++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return leaves
	}
	if n := count(tc.Scope{Link: link, Parent: tc.Ingress}); n != 1000 {
		t.Errorf("all: %d, want 1000", n)
	}
	if n := count(tc.Scope{Link: link, Parent: tc.Ingress, Pref: 7}); n != 20 {
		t.Errorf("preference 7: %d, want 20", n)
	}
	if n := count(tc.Scope{Link: link, Parent: tc.Ingress, Pref: 77, Terse: true}); n != 0 {
		t.Errorf("preference 77: %d, want 0", n)
	}
	err := c.Filters(t.Context(), tc.Scope{Link: link, Parent: tc.Ingress, Pref: 7, Terse: true}, func(*tc.Filter) error { return nil })
	var kernel *tc.Error
	if !errors.As(err, &kernel) {
		t.Errorf("terse dump of u32: %v, want a refusal", err)
	}
	if n := count(tc.Scope{Link: link, Parent: tc.Egress}); n != 0 {
		t.Errorf("egress: %d, want 0", n)
	}
	if n := count(tc.Scope{Link: 999999, Parent: tc.Ingress}); n != 0 {
		t.Errorf("no device: %d, want 0", n)
	}
}

// TestAbandonedDump stops dumps at every point of the first datagrams, by an
// error and by a context, and goes on with the same socket.
func TestAbandonedDump(t *testing.T) {
	link := foreign(t, 1000)
	c := dial(t, tc.Config{})
	errStop := errors.New("enough")
	for stop := 1; stop < 1200; stop = stop*3/2 + 1 {
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		err := c.Filters(ctx, tc.Scope{Link: link, Parent: tc.Ingress}, func(*tc.Filter) error {
			if n++; n == stop {
				if stop%2 == 0 {
					cancel()
					return nil
				}
				return errStop
			}
			return nil
		})
		cancel()
		if stop%2 == 1 && !errors.Is(err, errStop) {
			t.Errorf("stop at %d: %v", stop, err)
		}
		// The next answers must be those of the next requests.
		r := one(t, c, func(b *tc.Batch) error { return b.GetIngressQdisc(link) })
		if r.Err != nil || r.Qdisc == nil {
			t.Fatalf("after a stop at %d: %+v", stop, r)
		}
		n = 0
		err = c.Filters(t.Context(), tc.Scope{Link: link, Parent: tc.Ingress, Pref: 7}, func(f *tc.Filter) error {
			if f.Pref != 7 {
				return fmt.Errorf("preference %d of the abandoned dump", f.Pref)
			}
			n++
			return nil
		})
		if err != nil || n < 20 {
			t.Fatalf("after a stop at %d: %d filters, %v", stop, n, err)
		}
	}
}

func TestContextAndClose(t *testing.T) {
	tctest.Namespace(t)
	c, err := tc.Dial(tc.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var b tc.Batch
	if err := b.AddClsact(1); err != nil {
		t.Fatal(err)
	}
	results := make([]tc.Result, 1)
	if err := c.Do(ctx, &b, results); !errors.Is(err, context.Canceled) || !errors.Is(results[0].Err, context.Canceled) {
		t.Errorf("cancelled: %v, %v", err, results[0].Err)
	}
	if r := one(t, c, func(b *tc.Batch) error { return b.GetIngressQdisc(1) }); r.Qdisc != nil {
		t.Error("a cancelled request was sent")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Do(t.Context(), &b, results); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}
