package tc_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/pkg/tc"
	"github.com/flowshunt/flowshunt/pkg/tc/tctest"
)

func watch(t *testing.T, own ...uint32) *tc.Watcher {
	t.Helper()
	w, err := tc.Watch(own...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

var errEnough = errors.New("enough")

// heard returns what is heard up to a deletion that fits.
func heard(t *testing.T, w *tc.Watcher, last func(tc.Deletion) bool) (all []tc.Deletion) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err := w.Receive(ctx, func(d *tc.Deletion) error {
		all = append(all, *d)
		if last(*d) {
			return errEnough
		}
		return nil
	})
	if err != errEnough {
		t.Fatalf("%v; heard %+v", err, all)
	}
	return all
}

func TestWatcherHearsOthers(t *testing.T) {
	tctest.Namespace(t)
	tctest.Veth(t, "p0", "p1")
	link := tctest.Index(t, "p0")
	tctest.Run(t, "tc qdisc add dev p0 clsact")
	const match = " protocol ip u32 match ip src 192.0.2.1/32 classid 1:1"
	for _, f := range []string{"ingress pref 5", "ingress pref 6", "ingress chain 7 pref 8"} {
		tctest.Run(t, "tc filter add dev p0 "+f+match)
	}
	tctest.Run(t, "tc chain add dev p0 ingress chain 9")
	w := watch(t)
	for _, tt := range []struct {
		command string
		want    func(d tc.Deletion) bool
	}{
		{"tc filter del dev p0 ingress pref 5 protocol ip handle 800::800 u32", func(d tc.Deletion) bool {
			return d.Object == tc.ObjectFilter && d.Pref == 5 && d.Handle == 0x80000800 && d.Kind == "u32" && d.Parent == tc.Ingress
		}},
		{"tc filter del dev p0 ingress pref 6", func(d tc.Deletion) bool {
			return d.Object == tc.ObjectFilter && d.Pref == 6 && d.Handle == 0
		}},
		{"tc filter del dev p0 ingress chain 7", func(d tc.Deletion) bool {
			return d.Object == tc.ObjectFilter && d.Chain == 7 && d.Handle == 0
		}},
		{"tc chain del dev p0 ingress chain 9", func(d tc.Deletion) bool { return d.Object == tc.ObjectChain && d.Chain == 9 }},
		{"tc qdisc del dev p0 clsact", func(d tc.Deletion) bool {
			return d.Object == tc.ObjectQdisc && d.OnIngress() && d.Kind == tc.KindClsact
		}},
	} {
		tctest.Run(t, tt.command)
		all := heard(t, w, func(d tc.Deletion) bool { return d.Link == link && tt.want(d) })
		t.Logf("%s: %+v", tt.command, all)
	}
}

// What one's own sockets delete is not even delivered; what others do is, also
// through the same qdisc.
func TestWatcherPassesOverItsOwn(t *testing.T) {
	tctest.Namespace(t)
	tctest.Veth(t, "p0", "p1")
	link, other := tctest.Index(t, "p0"), tctest.Index(t, "p1")
	own, foreign := dial(t, tc.Config{}), dial(t, tc.Config{})
	more := []uint32{0, own.PortID()}
	for i := range 50 {
		more = append(more, uint32(1000+i))
	}
	w := watch(t, more...)
	for range 3 {
		for _, c := range []struct {
			conn *tc.Conn
			link int32
		}{{own, link}, {foreign, other}} {
			for i, r := range do(t, c.conn, func(b *tc.Batch) error { return errors.Join(b.AddClsact(c.link), b.DeleteClsact(c.link)) }) {
				if r.Err != nil {
					t.Fatal(i, r.Err)
				}
			}
		}
	}
	n := 0
	all := heard(t, w, func(tc.Deletion) bool { n++; return n == 3 })
	for _, d := range all {
		if d.Link != other || d.Port != foreign.PortID() || d.Object != tc.ObjectQdisc {
			t.Errorf("heard %+v", d)
		}
	}
}

// An overrun is told once, and what comes after it is heard.
func TestWatcherOverrun(t *testing.T) {
	tctest.Namespace(t)
	tctest.Veth(t, "p0", "p1")
	tctest.Run(t, "tc qdisc add dev p0 clsact")
	w := watch(t)
	var batch strings.Builder
	for i := range 8000 {
		fmt.Fprintf(&batch, "chain add dev p0 ingress chain %d\nchain del dev p0 ingress chain %[1]d\n", 10+i%10)
	}
	file := t.TempDir() + "/batch"
	if err := os.WriteFile(file, []byte(batch.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	tctest.Run(t, "tc -batch "+file)
	n := 0
	err := w.Receive(t.Context(), func(*tc.Deletion) error { n++; return nil })
	if !errors.Is(err, tc.ErrOverrun) {
		t.Fatalf("%v after %d", err, n)
	}
	tctest.Run(t, "tc qdisc del dev p0 clsact")
	if all := heard(t, w, func(d tc.Deletion) bool { return d.OnIngress() }); len(all) > 2 {
		t.Errorf("heard again: %+v", all)
	}
}

func TestWatcherEnds(t *testing.T) {
	tctest.Namespace(t)
	w := watch(t)
	nothing := func(*tc.Deletion) error { return nil }
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if err := w.Receive(ctx, nothing); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	time.AfterFunc(10*time.Millisecond, func() { _ = w.Close() })
	if err := w.Receive(t.Context(), nothing); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if err := w.Receive(t.Context(), nothing); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
	if _, err := tc.Watch(make([]uint32, 201)...); err != nil {
		t.Errorf("zeros are no port ids: %v", err)
	}
}
