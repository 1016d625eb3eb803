package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/ovsdb"
	"github.com/flowshunt/flowshunt/pkg/conntrack"
	"github.com/flowshunt/flowshunt/pkg/dpctl"
	"github.com/flowshunt/flowshunt/pkg/tap"
)

// fakeSwitch answers dpctl as ovs-vswitchd does.
type fakeSwitch struct {
	conns  map[string]int // lines of a dump but for the timeout, and that
	checks bool
	fails  error
}

const userspaceTCP = "tcp,orig=(src=10.0.0.1,dst=10.0.0.2,sport=1,dport=2),reply=(src=10.0.0.2,dst=10.0.0.1,sport=2,dport=1),id=0,zone=10," +
	"protoinfo=(state_orig=ESTABLISHED,state_reply=ESTABLISHED,flags_orig=WINDOW_SCALE,flags_reply=WINDOW_SCALE)"
const userspaceUDP = "udp,orig=(src=10.0.0.1,dst=10.0.0.2,sport=3,dport=4),reply=(src=10.0.0.2,dst=10.0.0.1,sport=4,dport=3),id=0,zone=10"

func (f *fakeSwitch) Call(_ context.Context, method string, _ ...string) (string, error) {
	switch {
	case f.fails != nil:
		return "", f.fails
	case method == "dpctl/ct-get-tcp-seq-chk" && f.checks:
		return "TCP sequence checking: enabled\n", nil
	case method == "dpctl/ct-get-tcp-seq-chk":
		return "TCP sequence checking: disabled\n", nil
	case method == "dpctl/ct-disable-tcp-seq-chk":
		f.checks = false
		return "disabling TCP sequence checking successful\n", nil
	}
	var b strings.Builder
	for line, timeout := range f.conns {
		fmt.Fprintf(&b, "%s,timeout=%d\n", line, timeout)
	}
	return b.String(), nil
}

func testUserspace(f *fakeSwitch) *userspaceConns {
	u := newUserspaceConns(&dpctl.Client{Caller: f})
	u.known, u.exists = func() bool { return true }, func() bool { return true }
	u.health = newComponent("userspace", silent)
	u.touch = func(_ context.Context, keys []flows.EntryKey) error {
		for range keys {
			for line := range f.conns {
				f.conns[line] = max(f.conns[line], 30)
			}
		}
		return nil
	}
	return u
}

func userspaceKey(t *testing.T, tuple string) flows.EntryKey {
	t.Helper()
	parsed, err := flows.ParseTuple(tuple)
	if err != nil {
		t.Fatal(err)
	}
	return flows.EntryKey{ID: dpctl.EntryID, Zone: 10, Tuple: parsed}
}

// TestUserspaceEstimates: what nobody counts is estimated, unless rules take it; and
// replies of UDP must have been seen.
func TestUserspaceEstimates(t *testing.T) {
	u := testUserspace(&fakeSwitch{conns: map[string]int{userspaceTCP: 100, userspaceUDP: 20}})
	tcp, udp := userspaceKey(t, "tcp,10.0.0.1:1,10.0.0.2:2"), userspaceKey(t, "udp,10.0.0.1:3,10.0.0.2:4")
	dump := func() map[flows.EntryKey]flows.Entry {
		found := make(map[flows.EntryKey]flows.Entry)
		if err := u.Dump(t.Context(), func(e *flows.Entry) error { found[e.Key] = *e; return nil }); err != nil {
			t.Fatal(err)
		}
		return found
	}
	see := func(tuple flows.Tuple) { u.sighted(&tap.Sighting{Tuple: tuple, Length: 1000}) }
	see(tcp.Tuple)
	see(udp.Tuple)
	found := dump()
	if e, ok := found[tcp]; !ok || !e.HasCount || e.Count[flows.Orig] != (flows.Counters{Packets: sampleOne, Bytes: 1000 * sampleOne}) {
		t.Errorf("TCP: %+v", e)
	}
	if _, ok := found[udp]; ok {
		t.Error("UDP without a reply was told")
	}
	see(udp.Tuple.Reverse())
	if e := dump()[udp]; !e.Status.Has(flows.StatusSeenReply | flows.StatusAssured) {
		t.Errorf("UDP: %+v", e)
	}
	u.installed(7, []flows.Rule{{Tuple: tcp.Tuple}, {Tuple: tcp.Tuple.Reverse()}})
	see(tcp.Tuple)
	if e := dump()[tcp]; e.Packets() != sampleOne {
		t.Errorf("counted although a rule takes it: %+v", e)
	}
	u.installed(7, nil)
	see(tcp.Tuple)
	if e := dump()[tcp]; e.Packets() != 2*sampleOne {
		t.Errorf("not counted although no rule takes it any more: %+v", e)
	}
}

// TestUserspaceTranslated: two zones translate, one each end. No port sees how packets are
// addressed between them, but what was seen at the ports counts for both entries, and so
// does that rules take it.
func TestUserspaceTranslated(t *testing.T) {
	const line = "udp,orig=(src=%s,dst=%s,sport=3,dport=4),reply=(src=10.0.0.2,dst=%s,sport=4,dport=3),id=0,zone=%d"
	u := testUserspace(&fakeSwitch{conns: map[string]int{
		fmt.Sprintf(line, "10.0.0.1", "10.9.9.9", "10.0.0.1", 10): 20,
		fmt.Sprintf(line, "10.0.0.1", "10.0.0.2", "10.8.8.8", 11): 20,
	}})
	dump := func() (n int, packets uint64) {
		err := u.Dump(t.Context(), func(e *flows.Entry) error {
			if !e.Status.Has(flows.StatusAssured) {
				t.Errorf("%+v", e)
			}
			n, packets = n+1, packets+e.Packets()
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return n, packets
	}
	there, back := userspaceKey(t, "udp,10.0.0.1:3,10.9.9.9:4").Tuple, userspaceKey(t, "udp,10.0.0.2:4,10.8.8.8:3").Tuple
	u.sighted(&tap.Sighting{Tuple: there, Length: 1000})
	u.sighted(&tap.Sighting{Tuple: back, Length: 1000})
	dump()
	if n, packets := dump(); n != 2 || packets != 4*sampleOne {
		t.Errorf("%d entries, %d packets", n, packets)
	}
	u.seen = &tap.Tally{Weight: sampleOne, Max: maxTallied}
	if n, _ := dump(); n != 0 {
		t.Errorf("%d entries of which nothing was seen", n)
	}
	u.installed(7, []flows.Rule{{Tuple: there}, {Tuple: back}})
	if n, _ := dump(); n != 2 {
		t.Errorf("%d entries that rules take", n)
	}
}

// TestUserspaceTakenOver: what an earlier agent's rules take was seen both ways by it.
func TestUserspaceTakenOver(t *testing.T) {
	u := testUserspace(&fakeSwitch{conns: map[string]int{userspaceUDP: 20}})
	udp := userspaceKey(t, "udp,10.0.0.1:3,10.0.0.2:4")
	u.installed(7, []flows.Rule{{Tuple: udp.Tuple}, {Tuple: udp.Tuple.Reverse()}})
	n := 0
	if err := u.Dump(t.Context(), func(*flows.Entry) error { n++; return nil }); err != nil || n != 1 {
		t.Errorf("%d entries, %v", n, err)
	}
}

// TestUserspaceWindow: no TCP connection is relaxed while the datapath checks, unless the
// agent may turn that off.
func TestUserspaceWindow(t *testing.T) {
	for name, tt := range map[string]struct {
		checks, relax bool
		proto         string
		good          bool
	}{
		"checks": {true, false, "tcp", false}, "may turn it off": {true, true, "tcp", true},
		"does not check": {false, false, "tcp", true}, "UDP": {true, false, "udp", true},
	} {
		f := &fakeSwitch{checks: tt.checks}
		u := testUserspace(f)
		u.relax = tt.relax
		var got error
		err := u.Update(t.Context(), []conntrack.Update{{Key: userspaceKey(t, tt.proto+",10.0.0.1:1,10.0.0.2:2"), TCP: conntrack.SetLiberal}},
			func(_ int, _ *flows.Entry, err error) { got = err })
		if err != nil || (got == nil) != tt.good || !tt.good && !errors.Is(got, errChecked) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		if tt.relax && f.checks {
			t.Errorf("%s: it still checks", name)
		}
	}
}

// TestUserspaceRefresh: an entry that is about to expire gets a packet, if it is not TCP.
func TestUserspaceRefresh(t *testing.T) {
	for name, tt := range map[string]struct {
		line    string
		timeout int
		want    error
		after   uint32
	}{
		"long":        {userspaceUDP, 29, nil, 29},
		"short":       {userspaceUDP, 5, nil, 30},
		"TCP, long":   {userspaceTCP, 80000, nil, 80000},
		"TCP, short":  {userspaceTCP, 5, errExpires, 5},
		"TCP, closed": {strings.ReplaceAll(userspaceTCP, "=ESTABLISHED", "=TIME_WAIT"), 20, conntrack.ErrClosing, 20},
	} {
		u := testUserspace(&fakeSwitch{conns: map[string]int{tt.line: tt.timeout}})
		key := userspaceKey(t, "udp,10.0.0.1:3,10.0.0.2:4")
		if strings.HasPrefix(tt.line, "tcp") {
			key = userspaceKey(t, "tcp,10.0.0.1:1,10.0.0.2:2")
		}
		var got error
		var e flows.Entry
		err := u.Refresh(t.Context(), []conntrack.Refresh{{Key: key}}, func(_ int, found *flows.Entry, err error) {
			got = err
			if found != nil {
				e = *found
			}
		})
		if err != nil || !errors.Is(got, tt.want) || e.Timeout != tt.after {
			t.Errorf("%s: %v, %v, timeout %d", name, got, err, e.Timeout)
		}
	}
}

// TestConntables: each table gets its part, and the failure of one is none of the other.
func TestConntables(t *testing.T) {
	kernel := &fakeTable{}
	c := &conntables{kernel: kernel, userspace: testUserspace(&fakeSwitch{conns: map[string]int{userspaceTCP: 100}})}
	keys := []flows.EntryKey{{ID: 1}, userspaceKey(t, "tcp,10.0.0.1:1,10.0.0.2:2"), {ID: 2}, userspaceKey(t, "tcp,10.0.0.1:9,10.0.0.2:2")}
	answers := func() (found []bool, errs []error) {
		found, errs = make([]bool, 4), make([]error, 4)
		if err := c.Get(t.Context(), keys, func(i int, e *flows.Entry, err error) {
			found[i], errs[i] = e != nil && e.Key == keys[i], err
		}); err != nil {
			t.Fatal(err)
		}
		return found, errs
	}
	if found, errs := answers(); !found[0] || !found[1] || !found[2] || !errors.Is(errs[3], conntrack.ErrNotFound) {
		t.Errorf("%v, %v", found, errs)
	}
	away := errors.New("away")
	c.userspace = testUserspace(&fakeSwitch{fails: away})
	if found, errs := answers(); !found[0] || !found[2] || !errors.Is(errs[1], away) || !errors.Is(errs[3], away) {
		t.Errorf("%v, %v", found, errs)
	}
}

func TestOwnerOf(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*ovsdb.Snapshot)
		owned  bool
	}{
		"nobody's":       {func(*ovsdb.Snapshot) {}, false},
		"OVN's":          {func(s *ovsdb.Snapshot) { s.Switch.OVNRemote, s.Switch.OVNBridge = "unix:sb", "br0" }, true},
		"beside OVN's":   {func(s *ovsdb.Snapshot) { s.Switch.OVNRemote, s.Switch.OVNBridge = "unix:sb", "br-int" }, false},
		"was OVN's":      {func(s *ovsdb.Snapshot) { s.Bridges[0].ExternalIDs = map[string]string{"ovn-startup-ts": "1"} }, true},
		"has its zones":  {func(s *ovsdb.Snapshot) { s.Bridges[0].Zones = map[string]flows.Zone{"p": 1} }, true},
		"a controller's": {func(s *ovsdb.Snapshot) { s.Bridges[0].Controllers = 1 }, true},
		"Neutron's":      {func(s *ovsdb.Snapshot) { s.Ports[0].IfaceID = "x" }, true},
		"of Neutron":     {func(s *ovsdb.Snapshot) { s.Ports[0].Type, s.Ports[0].Name = "patch", "phy-br-ex" }, true},
		"patched":        {func(s *ovsdb.Snapshot) { s.Ports[0].Type, s.Ports[0].Name = "patch", "to-br1" }, false},
		"another bridge": {func(s *ovsdb.Snapshot) { s.Ports[0].Bridge, s.Ports[0].IfaceID = "br1", "x" }, false},
	} {
		s := &ovsdb.Snapshot{Bridges: []ovsdb.Bridge{{Name: "br0"}}, Ports: []ovsdb.Port{{Name: "p0", Bridge: "br0", Type: "system"}}}
		tt.change(s)
		if owner := ownerOf(s, "br0"); (owner != "") != tt.owned {
			t.Errorf("%s: %q", name, owner)
		}
	}
}

// TestEmptyPacket: a tap reads the tuple that it was made from, and its sums are right.
func TestEmptyPacket(t *testing.T) {
	for _, s := range []string{"udp,10.0.0.1:40000,10.0.0.2:443", "udp,[fd00::1]:40000,[fd00::2]:443", "gre,10.0.0.1,10.0.0.2", "esp,fd00::1,fd00::2"} {
		want, err := flows.ParseTuple(s)
		if err != nil {
			t.Fatal(err)
		}
		frame := emptyPacket(want)
		got, ok := tap.Parse(frame, flows.Tag{})
		if !ok || got.Tuple != want || int(got.Length) != len(frame)-14 {
			t.Errorf("%s: %+v", s, got)
		}
		if want.Src.Is4() && checksum(frame[14:34]) != 0 {
			t.Errorf("%s: checksum of the header", s)
		}
		if want.Src.Is6() && want.Proto == flows.UDP {
			pseudo := append(append([]byte{}, frame[22:54]...), 0, 0, 0, 8, 0, 0, 0, 17)
			if checksum(append(pseudo, frame[54:]...)) != 0 {
				t.Errorf("%s: checksum", s)
			}
		}
	}
}

// Before the bridges are known a dump is not whole: what an earlier agent left in the
// userspace datapath would be judged by connections that nobody has looked for.
func TestTooEarlyIsNotWhole(t *testing.T) {
	u := testUserspace(&fakeSwitch{})
	u.known, u.exists = func() bool { return false }, func() bool { return false }
	if err := u.Dump(t.Context(), func(*flows.Entry) error { return nil }); !errors.Is(err, errTooEarly) {
		t.Errorf("before the bridges are known: %v", err)
	}
	u.known = func() bool { return true }
	if err := u.Dump(t.Context(), func(*flows.Entry) error { return nil }); err != nil {
		t.Errorf("there is no such datapath: %v", err)
	}
}
