package conntrack

import (
	"errors"
	"os/exec"
	"testing"

	ct "github.com/ti-mo/conntrack"
	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/flows"
)

// useLabels gives the calling thread's network namespace a user of labels, so
// that entries made from now on have some.
func useLabels(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("nft", "add table inet t; add chain inet t c; add rule inet t c ct label set 1").CombinedOutput(); err != nil {
		t.Skipf("needs nft and nft_ct in the kernel: %v: %s", err, out)
	}
}

// bit0 is what OVN blocks a connection with while a host of it cannot mask marks.
var bit0 = Labels{Set: [16]byte{1}, Mask: [16]byte{1}}

// Bits of the labels outside the mask belong to others. ti-mo's reading is compared.
func TestUpdateLabels(t *testing.T) {
	netns := enterNetNS(t)
	useLabels(t)
	theirs, err := ct.Dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	s := established(1)
	s.mark = 0xff00
	s.labels = []byte{0xf0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0x80}
	e := createAll(t, netns, s)[0]
	if e.Labels != [16]byte(s.labels) {
		t.Fatalf("created with labels %x", e.Labels)
	}
	c := dial(t, Config{NetNS: netns})
	all := [16]byte{}
	for i := range all {
		all[i] = 0xff
	}
	with := func(first, last byte) [16]byte {
		l := [16]byte(s.labels)
		l[0], l[15] = first, last
		return l
	}
	for _, step := range []struct {
		name   string
		labels Labels
		want   [16]byte
	}{
		{"bit 0", bit0, with(0xf1, 0x80)},
		{"bit 0 again", bit0, with(0xf1, 0x80)},
		{"more set than masked", Labels{Set: all, Mask: [16]byte{2}}, with(0xf3, 0x80)},
		{"clear", Labels{Mask: [16]byte{0x10}}, with(0xe3, 0x80)},
		{"bit 120", Labels{Set: [16]byte{15: 1}, Mask: [16]byte{15: 1}}, with(0xe3, 0x81)},
		{"no mask", Labels{Set: all}, with(0xe3, 0x81)},
	} {
		got, err := update(t, c, Update{Key: e.Key, Labels: step.labels})
		want := e
		want.Labels, want.Timeout = step.want, got.Timeout
		if err != nil || got != want {
			t.Errorf("%s: %v\n got %+v\nwant %+v", step.name, err, got, want)
		}
		flow, err := theirs.Get(ct.NewFlow(6, 0, e.Key.Tuple.Src, e.Key.Tuple.Dst, e.Key.Tuple.SrcPort, e.Key.Tuple.DstPort, 0, 0))
		if err != nil || [16]byte(flow.Labels) != step.want {
			t.Errorf("%s: others read labels %x, %v", step.name, flow.Labels, err)
		}
	}
	// with a mark in one update
	got, err := update(t, c, Update{Key: e.Key, Mark: Mark{Set: 1, Mask: 1}, Labels: Labels{Mask: [16]byte{0xff}}})
	if err != nil || got.Mark != 0xff01 || got.Labels != with(0, 0x81) {
		t.Errorf("mark %#x labels %x, %v", got.Mark, got.Labels, err)
	}
}

// An entry that was made before anything used labels has none, now and later;
// the others of its batch are none the worse.
func TestNoLabels(t *testing.T) {
	netns := enterNetNS(t)
	e := createAll(t, netns, established(1))[0]
	c := dial(t, Config{NetNS: netns})
	u := Update{Key: e.Key, Mark: Mark{Set: 1, Mask: 1}, Labels: bit0}
	var refused *Error
	got, err := update(t, c, u)
	if !errors.Is(err, ErrNoLabels) || !errors.As(err, &refused) || refused.Errno != unix.ENOSPC {
		t.Errorf("without a user of labels: %v", err)
	}
	if got.Mark != 1 || got.Labels != [16]byte{} {
		t.Errorf("mark %#x, labels %x", got.Mark, got.Labels)
	}
	useLabels(t)
	later := createAll(t, netns, established(2))[0]
	n := 0
	err = c.Update(t.Context(), []Update{u, {Key: later.Key, Labels: bit0}}, func(i int, got *flows.Entry, err error) {
		n++
		if i == 0 && !errors.Is(err, ErrNoLabels) {
			t.Errorf("the older entry: %v", err)
		}
		if i == 1 && (err != nil || got.Labels != bit0.Set) {
			t.Errorf("the later entry: labels %x, %v", got.Labels, err)
		}
	})
	if err != nil || n != 2 {
		t.Fatalf("%d answers, %v", n, err)
	}
}
