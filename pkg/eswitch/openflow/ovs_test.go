package openflow

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/eswitch/eswitchtest"
	"github.com/flowshunt/flowshunt/pkg/tc/tctest"
)

func TestConformance(t *testing.T) {
	eswitchtest.Run(t, func(t *testing.T) *eswitchtest.Rig { return newWorld(t, Config{}).Rig })
}

func (w *world) prepared(t testing.TB, d *Driver) *eswitch.Eswitch {
	t.Helper()
	e := eswitch.New(d, eswitch.Config{})
	for _, link := range []int32{w.A, w.B} {
		if err := e.PreparePort(t.Context(), link); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

func mustInstall(t testing.TB, e *eswitch.Eswitch, s ...flows.Session) {
	t.Helper()
	for _, r := range e.Install(t.Context(), s) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
}

// TestFlow looks at a rule as ovs-ofctl shows it.
func TestFlow(t *testing.T) {
	w := newWorld(t, Config{Hard: 20 * time.Second, Generation: 7})
	e := w.prepared(t, w.driver)
	mustInstall(t, e, w.Session(1, flows.TCP, false), w.Session(2, flows.UDP, true))
	got := strings.Join(w.flows(), "\n")
	for _, want := range []string{
		"cookie=0xf105470100000002, hard_timeout=20, priority=61701,tcp,metadata=0/0x8000000000000000,in_port=1,vlan_tci=0x0000/0x1fff," +
			"dl_src=02:00:00:00:00:01,dl_dst=02:00:00:00:00:02,nw_src=10.0.0.1,nw_dst=192.0.2.1,nw_frag=no," +
			"tp_src=40000,tp_dst=443,tcp_flags=-fin-syn-rst actions=note:07.00.",
		",output:2",
		"udp6,", "nw_frag=no",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("want %q in\n%s", want, got)
		}
	}
}

// TestForeignFlows leaves the flows of others alone, whatever they look like.
func TestForeignFlows(t *testing.T) {
	w := newWorld(t, Config{})
	for _, f := range []string{
		"table=0,priority=61701,udp,actions=drop",
		"table=0,cookie=0xf105470200000002,priority=61701,tcp,actions=note:07.00.00.00.00.01,output:9",
		"table=3,cookie=0x1,priority=1,actions=NORMAL",
	} {
		w.ofctl("add-flow", f)
	}
	before := w.flows()
	e := w.prepared(t, w.driver)
	mustInstall(t, e, w.Sessions(10)...)
	if n := len(w.flows()); n != len(before)+20 {
		t.Errorf("%d flows, want 20 more than %d", n, len(before))
	}
	if _, err := eswitch.New(w.driver, eswitch.Config{}).Flush(t.Context()); err != nil {
		t.Error(err)
	}
	if after := w.flows(); !slices.Equal(before, after) {
		t.Errorf("before\n%s\nafter\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
}

// TestMalformedNote: what has our cookie and says nothing that we wrote is swept.
func TestMalformedNote(t *testing.T) {
	w := newWorld(t, Config{})
	w.ofctl("add-flow", "cookie=0xf105470100000009,priority=5,udp,actions=drop")
	e := w.prepared(t, w.driver)
	if _, err := e.Sweep(t.Context()); err != nil {
		t.Error(err)
	}
	if left := w.flows(); len(left) != 1 { // that of an empty bridge is NORMAL's; secure has none
		if len(left) != 0 {
			t.Errorf("left: %v", left)
		}
	}
}

// TestEndsByItself: rules that are kept outlive their timeout; those of a process that
// died end.
func TestEndsByItself(t *testing.T) {
	w := newWorld(t, Config{Hard: 2 * time.Second})
	e := w.prepared(t, w.driver)
	s := append(w.Sessions(1), w.Shaped(2, eswitchtest.Shape{Proto: flows.TCP, Hops: 1}), w.Session(3, flows.TCP, false))
	mustInstall(t, e, s...)
	if err := errors.Join(e.Remove(t.Context(), eswitchtest.IDs(s[2:]))...); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	until(t, 20*time.Second, "kept for three times the timeout", func() bool {
		if err := e.Keep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(w.flows()); n != 4+2*4 {
			t.Fatalf("%d flows after %v", n, time.Since(began))
		}
		return time.Since(began) > 6*time.Second // guards live longer than 4
	})
	ended := time.Now()
	until(t, 10*time.Second, "ended", func() bool { return len(w.flows()) == 0 })
	if d := time.Since(ended); d > 2*time.Second+time.Duration(w.driver.guardHard())*time.Second {
		t.Errorf("ended after %v", d)
	}
	if _, lost, err := e.Counters(t.Context()); err != nil || len(lost) != 2 {
		t.Errorf("lost %v, %v", lost, err)
	}
}

// TestAdoptedByAnother takes over what another driver left, and keeps it.
func TestAdoptedByAnother(t *testing.T) {
	w := newWorld(t, Config{Generation: 1})
	mustInstall(t, w.prepared(t, w.driver), w.Sessions(5)...)
	e := eswitch.New(w.open(Config{Generation: 2}), eswitch.Config{})
	adopted, n, err := e.Adopt(t.Context())
	if err != nil || n != 0 || len(adopted) != 5 {
		t.Fatalf("adopted %d, removed %d, %v", len(adopted), n, err)
	}
	if err := errors.Join(e.Keep(t.Context()), errors.Join(e.Remove(t.Context(), eswitchtest.IDs(w.Sessions(5)))...)); err != nil {
		t.Error(err)
	}
	if left := w.flows(); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// TestAnotherTimeout: rules with another timeout than ours are not adopted, for they
// could end before they are kept.
func TestAnotherTimeout(t *testing.T) {
	w := newWorld(t, Config{Hard: 10 * time.Second})
	mustInstall(t, w.prepared(t, w.driver), w.Sessions(5)...)
	e := eswitch.New(w.open(Config{}), eswitch.Config{})
	if adopted, n, err := e.Adopt(t.Context()); err != nil || n != 10 || len(adopted) != 0 {
		t.Errorf("adopted %d, removed %d, %v", len(adopted), n, err)
	}
}

// TestUnsupported refuses what a flow cannot say, and why.
func TestUnsupported(t *testing.T) {
	w := newWorld(t, Config{})
	e := w.prepared(t, w.driver)
	shape := func(n int, a, b flows.Tags, tunnel flows.Tunnel) flows.Session {
		return w.Shaped(n, eswitchtest.Shape{Proto: flows.TCP, A: a, B: b, Tunnel: tunnel, Hops: 1})
	}
	customer, provider := flows.Tag{Type: flows.TagCustomer, ID: 7}, flows.Tag{Type: flows.TagProvider, ID: 7}
	for i, tt := range []struct {
		session flows.Session
		why     string
	}{
		{shape(1, flows.Tags{provider}, flows.Tags{provider}, flows.Tunnel{}), "type of a tag"},
		{shape(2, flows.Tags{customer}, flows.Tags{customer, customer}, flows.Tunnel{}), "second tag"},
		{shape(3, flows.Tags{}, flows.Tags{}, flows.Tunnel{Dst: netip.MustParseAddr("192.0.2.9"), ID: 7}), "tunnel"},
	} {
		err := e.Install(t.Context(), []flows.Session{tt.session})[0].Err
		if !errors.Is(err, eswitch.ErrRefused) || !strings.Contains(err.Error(), tt.why) {
			t.Errorf("%d: %v, want ErrRefused for the %s", i, err, tt.why)
		}
	}
	if _, err := e.Sweep(t.Context()); err != nil {
		t.Error(err)
	}
	if left := w.flows(); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// TestChanges looks at rules that change packets as ovs-ofctl shows them.
func TestChanges(t *testing.T) {
	w := newWorld(t, Config{})
	e := w.prepared(t, w.driver)
	tag := flows.Tag{Type: flows.TagCustomer, ID: 9, Priority: 5}
	nat := func(t flows.Tuple) flows.Tuple {
		t.Src, t.SrcPort = netip.MustParseAddr("203.0.113.1"), 1024
		return t
	}
	mustInstall(t, e, w.Shaped(1, eswitchtest.Shape{Proto: flows.UDP, B: flows.Tags{tag}, Hops: 1, NAT: nat}))
	got := strings.Join(w.flows(), "\n")
	for _, want := range []string{
		"udp,metadata=0/0x8000000000000000,in_port=1,vlan_tci=0x0000/0x1fff,dl_src=02:00:00:00:00:01,dl_dst=02:00:00:00:00:02," +
			"nw_src=10.0.0.1,nw_dst=192.0.2.1,nw_frag=no,tp_src=40000,tp_dst=443 actions=note:",
		",set_field:02:00:00:00:00:03->eth_src,set_field:02:00:00:00:00:04->eth_dst,dec_ttl,set_field:203.0.113.1->ip_src," +
			"set_field:1024->udp_src,push_vlan:0x8100,set_field:4105->vlan_vid,set_field:5->vlan_pcp,output:2",
		"in_port=2,dl_vlan=9,dl_vlan_pcp=5,", "nw_dst=203.0.113.1", "tp_dst=1024", ",set_field:40000->udp_dst,pop_vlan,output:1",
		"hard_timeout=42, priority=61702,ip,metadata=0/0x8000000000000000,in_port=1,vlan_tci=0x0000/0x1fff,nw_ttl=3 actions=note:",
		",load:0x1->OXM_OF_METADATA[63],resubmit(,0)",
		"ip,metadata=0/0x8000000000000000,in_port=2,vlan_tci=0x1000/0x1000,nw_ttl=0 actions=",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("want %q in\n%s", want, got)
		}
	}
}

// tunnelled is a session by a tunnel of br0, which is made.
func (w *world) tunnelled(n int, kind string, v6 bool, s eswitchtest.Shape) flows.Session {
	w.t.Helper()
	ends := [2]string{"192.0.2.1", "192.0.2.2"}
	if v6 {
		ends = [2]string{"2001:db8::1", "2001:db8::2"}
	}
	name := fmt.Sprintf("tun%d", n)
	w.Vsctl("add-port", "br0", name, "--", "set", "interface", name, "type="+kind, "options:remote_ip=flow", "options:key=flow",
		fmt.Sprintf("ofport_request=%d", 100+n), fmt.Sprintf("options:dst_port=%d", 5000+n))
	s.Tunnel = flows.Tunnel{Src: netip.MustParseAddr(ends[0]), Dst: netip.MustParseAddr(ends[1]), ID: 0x1234, TTL: 64, TOS: 0x28, Port: uint16(5000 + n)}
	s.Tunnel.Checksum, s.Tunnel.MayBreak = v6, v6
	link := TunnelLink("br0", uint32(100+n))
	if err := w.driver.Prepare(w.t.Context(), link); err != nil {
		w.t.Fatal(err)
	}
	session := w.Shaped(n, s)
	session.Rules[0].Out, session.Rules[1].In = link, link
	return session
}

// TestTunnels: rules into tunnels and out of them are read back as they were meant, also
// by another driver, and what would be half of that is refused.
func TestTunnels(t *testing.T) {
	w := newWorld(t, Config{})
	e := w.prepared(t, w.driver)
	all := []flows.Session{
		w.tunnelled(1, "vxlan", false, eswitchtest.Shape{Proto: flows.TCP}),
		w.tunnelled(2, "geneve", true, eswitchtest.Shape{Proto: flows.UDP, V6: true, Hops: 1}),
		w.tunnelled(3, "vxlan", false, eswitchtest.Shape{Proto: flows.TCP, A: flows.Tags{{Type: flows.TagCustomer, ID: 9}}}),
	}
	mustInstall(t, e, all...)
	got := strings.Join(w.flows(), "\n")
	for _, want := range []string{
		",set_field:0x1234->tun_id,set_field:192.0.2.1->tun_src,set_field:192.0.2.2->tun_dst,output:101",
		"tun_id=0x1234,tun_src=192.0.2.2,tun_dst=192.0.2.1,metadata=0/0x8000000000000000,in_port=101,vlan_tci=0x0000/0x1fff,",
		"set_field:2001:db8::2->tun_ipv6_dst,output:102", "tun_ipv6_dst=2001:db8::1,", "nw_ttl=3",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("want %q in\n%s", want, got)
		}
	}
	other := eswitch.New(w.open(Config{Generation: 2}), eswitch.Config{})
	found, err := other.Audit(t.Context())
	rules := 0
	for _, f := range found {
		i := slices.IndexFunc(all, func(s flows.Session) bool { return s.ID == f.Session })
		if f.Session != 0 && (i < 0 || !slices.Contains(all[i].Rules, f.Rule)) || !f.Intact {
			t.Errorf("%+v, changes %+v", f, f.Rule.Change.Value())
		}
		if f.Session != 0 {
			rules++
		}
	}
	if adopted, n, errAdopt := other.Adopt(t.Context()); err != nil || errAdopt != nil || n != 0 || len(adopted) != 3 || rules != 6 {
		t.Errorf("found %d rules, adopted %d, removed %d: %v, %v", rules, len(adopted), n, err, errAdopt)
	}

	plain := w.Shaped(9, eswitchtest.Shape{Proto: flows.TCP})
	plain.Rules[0].Out = all[0].Rules[0].Out
	if err := e.Install(t.Context(), []flows.Session{plain})[0].Err; !errors.Is(err, eswitch.ErrRefused) {
		t.Errorf("to a tunnel's port without a tunnel: %v", err)
	}
	w.ofctl("add-tlv-map", "{class=0x102,type=0x80,len=4}->tun_metadata0")
	w.driver.bridges["br0"].pipeline.last = time.Time{} // as some time later
	err = e.Install(t.Context(), []flows.Session{w.tunnelled(4, "geneve", false, eswitchtest.Shape{Proto: flows.TCP})})[0].Err
	if !errors.Is(err, eswitch.ErrRefused) || !strings.Contains(err.Error(), "options") {
		t.Errorf("where options are fields: %v", err)
	}
}

// TestGuardInPart: a guard of which somebody deleted a flow is none.
func TestGuardInPart(t *testing.T) {
	w := newWorld(t, Config{})
	e := w.prepared(t, w.driver)
	s := w.Shaped(1, eswitchtest.Shape{Proto: flows.TCP, Hops: 1})
	mustInstall(t, e, s)
	if _, lost, err := e.Counters(t.Context()); err != nil || len(lost) != 0 {
		t.Fatalf("lost %v, %v", lost, err)
	}
	w.ofctl("del-flows", "in_port=1,ip,nw_ttl=1")
	if _, lost, err := e.Counters(t.Context()); err != nil || !slices.Equal(lost, []flows.SessionID{s.ID}) {
		t.Errorf("lost %v, %v", lost, err)
	}
	if err := errors.Join(e.Remove(t.Context(), []flows.SessionID{s.ID})...); err != nil {
		t.Error(err)
	}
	mustInstall(t, e, s)
	if n := len(w.flows()); n != 2+2*4 {
		t.Errorf("%d flows:\n%s", n, strings.Join(w.flows(), "\n"))
	}
}

// TestMetadata: a pipeline that looks at the bit that rules use is left alone, and rules
// that stand there are not kept.
func TestMetadata(t *testing.T) {
	for name, flow := range map[string]string{
		"matches": "table=3,metadata=5,actions=drop",
		"copies":  "table=3,actions=move:OXM_OF_METADATA[32..63]->NXM_NX_REG0[],resubmit(,4)",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, Config{})
			w.ofctl("add-flow", "table=3,metadata=5/0xff,actions=set_field:7->metadata")
			e := w.prepared(t, w.driver)
			mustInstall(t, e, w.Session(1, flows.TCP, false))
			w.ofctl("add-flow", flow)
			w.driver.bridges["br0"].pipeline.last = time.Time{} // as some time later
			for what, err := range map[string]error{
				"prepare": e.PreparePort(t.Context(), w.A),
				"install": e.Install(t.Context(), []flows.Session{w.Session(2, flows.TCP, false)})[0].Err,
			} {
				if !errors.Is(err, eswitch.ErrNotSupported) || !strings.Contains(err.Error(), "table 3") {
					t.Errorf("%s: %v", what, err)
				}
			}
			if err := e.Keep(t.Context()); !errors.Is(err, eswitch.ErrNotSupported) {
				t.Errorf("keep: %v", err)
			}
		})
	}
}

// TestTwoBridges: a flow of one bridge cannot put packets out at a port of another.
func TestTwoBridges(t *testing.T) {
	w := newWorld(t, Config{})
	tctest.Veth(t, "p2", "q2")
	w.Vsctl("add-br", "br1", "--", "set", "bridge", "br1", "datapath_type=netdev", "--", "add-port", "br1", "p2")
	e := w.prepared(t, w.driver)
	s := w.Session(1, flows.TCP, false)
	s.Rules[0].Out = tctest.Index(t, "p2")
	if err := e.Install(t.Context(), []flows.Session{s})[0].Err; !errors.Is(err, eswitch.ErrRefused) || !strings.Contains(err.Error(), "br1") {
		t.Errorf("got %v, want ErrRefused that names br1", err)
	}
}

// TestOldBridge: a bridge that does not allow OpenFlow 1.4 is refused, and says so.
func TestOldBridge(t *testing.T) {
	w := newWorld(t, Config{})
	w.Vsctl("set", "bridge", "br0", "protocols=OpenFlow10,OpenFlow13")
	err := w.driver.Prepare(t.Context(), w.A)
	if !errors.Is(err, eswitch.ErrNotSupported) || !strings.Contains(err.Error(), "OpenFlow14") {
		t.Errorf("got %v, want ErrNotSupported that names OpenFlow14", err)
	}
}

// TestRestartOfOVS: the connections of before end, and the flows with them.
func TestRestartOfOVS(t *testing.T) {
	w := newWorld(t, Config{})
	e := w.prepared(t, w.driver)
	mustInstall(t, e, w.Sessions(3)...)
	w.RestartSwitch()
	if _, lost, err := e.Counters(t.Context()); err != nil || len(lost) != 3 {
		t.Errorf("lost %v, %v", lost, err)
	}
	if err := errors.Join(e.Remove(t.Context(), eswitchtest.IDs(w.Sessions(3)))...); err != nil {
		t.Error(err)
	}
	mustInstall(t, e, w.Sessions(3)...)
	if n := len(w.flows()); n != 6 {
		t.Errorf("%d flows", n)
	}
}

// TestClasses has rules of every class that is not for tags.
func TestClasses(t *testing.T) {
	w := newWorld(t, Config{})
	e := w.prepared(t, w.driver)
	var all []flows.Session
	for i, proto := range []flows.Proto{flows.TCP, flows.UDP, flows.SCTP, flows.ESP, flows.AH, flows.GRE} {
		all = append(all, w.Session(2*i+1, proto, false), w.Session(2*i+2, proto, true))
	}
	mustInstall(t, e, all...)
	found, err := e.Audit(t.Context())
	if err != nil || len(found) != 2*len(all) {
		t.Errorf("%d rules, want %d, %v", len(found), 2*len(all), err)
	}
	for _, f := range found {
		i := slices.IndexFunc(all, func(s flows.Session) bool { return s.ID == f.Session })
		if i < 0 || !slices.Contains(all[i].Rules, f.Rule) || !f.Intact {
			t.Errorf("%+v", f)
		}
	}
	if counters, lost, err := e.Counters(t.Context()); err != nil || len(counters) != len(all) || len(lost) != 0 {
		t.Errorf("%d counters, lost %v, %v", len(counters), lost, err)
	}
}
