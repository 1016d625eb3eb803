package flower_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/eswitch/eswitchtest"
	"github.com/flowshunt/flowshunt/pkg/eswitch/flower"
	"github.com/flowshunt/flowshunt/pkg/tc/tctest"
)

// rig opens a driver in a new namespace with the ports p0 and p1; what is sent at
// q0 and q1 comes in there.
func rig(t testing.TB, cfg flower.Config) *eswitchtest.Rig {
	t.Helper()
	tctest.Namespace(t)
	tctest.Veth(t, "p0", "q0")
	tctest.Veth(t, "p1", "q1")
	d, err := flower.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return &eswitchtest.Rig{
		Driver:  d,
		A:       tctest.Index(t, "p0"),
		B:       tctest.Index(t, "p1"),
		Gone:    func() { tctest.Run(t, "ip link del p1") },
		Refuses: func(s eswitchtest.Shape) bool { return s.V6 && s.NAT != nil || s.Name == "ports" },
		Vanish: func(f eswitch.Found) {
			proto := "ip"
			if f.Ref.Class.IsIPv6() {
				proto = "ipv6"
			}
			switch f.Ref.Class.TagType() {
			case flows.TagCustomer:
				proto = "802.1Q"
			case flows.TagProvider:
				proto = "802.1ad"
			}
			dev := map[bool]string{true: "p0", false: "p1"}[f.Ref.Link == tctest.Index(t, "p0")]
			tctest.Run(t, fmt.Sprintf("tc filter del dev %s ingress pref %d protocol %s handle %#x flower",
				dev, f.Preference, proto, f.Ref.Handle))
		},
	}
}

func prepared(t testing.TB, r *eswitchtest.Rig) *eswitch.Eswitch {
	t.Helper()
	e := eswitch.New(r.Driver, eswitch.Config{})
	for _, link := range []int32{r.A, r.B} {
		if err := e.PreparePort(t.Context(), link); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

func TestConformance(t *testing.T) {
	tctest.NeedFlower(t)
	eswitchtest.Run(t, func(t *testing.T) *eswitchtest.Rig { return rig(t, flower.Config{}) })
}

// TestConformanceBoth reads back where each rule is, and works without hardware.
func TestConformanceBoth(t *testing.T) {
	tctest.NeedFlower(t)
	eswitchtest.Run(t, func(t *testing.T) *eswitchtest.Rig { return rig(t, flower.Config{Mode: flower.Both}) })
}

// TestWithoutHardware demands hardware of devices that have none.
func TestWithoutHardware(t *testing.T) {
	tctest.NeedFlower(t)
	for name, cfg := range map[string]flower.Config{
		"skip_sw":  {Mode: flower.SkipSW},
		"required": {Mode: flower.Both, RequireHW: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := rig(t, cfg)
			e := prepared(t, r)
			res := e.Install(t.Context(), r.Sessions(3))
			for _, res := range res {
				if !errors.Is(res.Err, eswitch.ErrNotOffloaded) {
					t.Errorf("got %v, want ErrNotOffloaded", res.Err)
				}
			}
			t.Log(res[0].Err)
			if found, err := e.Audit(t.Context()); err != nil || len(found) != 0 {
				t.Errorf("left: %+v, %v", found, err)
			}
		})
	}
}

// TestClsactOwnership removes the clsact that it made and no other.
func TestClsactOwnership(t *testing.T) {
	r := rig(t, flower.Config{})
	tctest.Run(t, "tc qdisc add dev p1 clsact")
	e := prepared(t, r)
	has := func(dev string) bool { return strings.Contains(tctest.Run(t, "tc qdisc show dev "+dev), "clsact") }
	if !has("p0") || !has("p1") {
		t.Fatal("a port was not prepared")
	}
	// A later process, which remembers nothing, tells them apart all the same.
	if _, err := eswitch.New(r.Driver, eswitch.Config{}).Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if has("p0") || !has("p1") {
		t.Errorf("clsact: ours %v, the other's %v", has("p0"), has("p1"))
	}
	// Ours stays as long as somebody uses it, on either hook.
	for _, hook := range []string{"ingress", "egress"} {
		if err := e.PreparePort(t.Context(), r.A); err != nil {
			t.Fatal(err)
		}
		tctest.Run(t, "tc filter add dev p0 "+hook+" pref 9 protocol ip u32 match ip dst 10.0.0.1/32 flowid 1:1")
		if err := e.ReleasePort(t.Context(), r.A); err != nil || !has("p0") {
			t.Errorf("%s: clsact with a foreign filter is there: %v, %v", hook, has("p0"), err)
		}
		tctest.Run(t, "tc filter del dev p0 "+hook+" pref 9")
		if err := e.ReleasePort(t.Context(), r.A); err != nil || has("p0") {
			t.Errorf("%s: unused clsact is there: %v, %v", hook, has("p0"), err)
		}
	}
	if err := e.ReleasePort(t.Context(), r.A); err != nil {
		t.Errorf("second release: %v", err)
	}
}

// TestProbe agrees with tc about what this kernel can do, and leaves nothing.
func TestProbe(t *testing.T) {
	r := rig(t, flower.Config{Mode: flower.SkipSW})
	prepared(t, r)
	before := ingress(t, "p0")
	err := r.Driver.(*flower.Driver).Probe(t.Context(), r.A)
	if tctest.HasFlower() && err != nil || !tctest.HasFlower() && !errors.Is(err, eswitch.ErrNotSupported) {
		t.Errorf("flower: %v, probe: %v", tctest.HasFlower(), err)
	}
	if show := ingress(t, "p0"); show != before {
		t.Errorf("left: %s", show)
	}
}

// TestRulesBelowIngress finds our rules also where somebody exchanged the qdisc.
func TestRulesBelowIngress(t *testing.T) {
	tctest.NeedFlower(t)
	r := rig(t, flower.Config{})
	e := prepared(t, r)
	tctest.Run(t, "tc qdisc del dev p0 clsact")
	tctest.Run(t, "tc qdisc add dev p0 ingress")
	if res := e.Install(t.Context(), r.Sessions(1)); res[0].Err != nil {
		t.Fatal(res[0].Err)
	}
	if n, err := eswitch.New(r.Driver, eswitch.Config{}).Flush(t.Context()); err != nil || n != 2 {
		t.Errorf("flushed %d rules, %v, want 2", n, err)
	}
	if !strings.Contains(tctest.Run(t, "tc qdisc show dev p0"), "ingress") {
		t.Error("the ingress qdisc of somebody else is gone")
	}
}

// TestIngressRefused meets the qdisc that OVS uses.
func TestIngressRefused(t *testing.T) {
	r := rig(t, flower.Config{})
	tctest.Run(t, "tc qdisc add dev p0 ingress")
	e := eswitch.New(r.Driver, eswitch.Config{})
	if err := e.PreparePort(t.Context(), r.A); !errors.Is(err, eswitch.ErrIngress) {
		t.Errorf("got %v, want ErrIngress", err)
	}
	if err := e.ReleasePort(t.Context(), r.A); err != nil {
		t.Error(err)
	}
	if !strings.Contains(tctest.Run(t, "tc qdisc show dev p0"), "ingress") {
		t.Error("the ingress qdisc of somebody else is gone")
	}
}

// TestForeignIsLookedForSeldom: not at each of the many Prepares, but at the first, after
// the clsact was made anew, after a refusal and after a Release.
func TestForeignIsLookedForSeldom(t *testing.T) {
	const foreign = "tc filter add dev p0 ingress pref 107 protocol ip u32 match ip dst 10.0.0.1/32 flowid 1:1"
	r := rig(t, flower.Config{Preference: 100})
	refused := func(when string, want bool) {
		t.Helper()
		if err := r.Driver.Prepare(t.Context(), r.A); errors.Is(err, eswitch.ErrForeign) != want {
			t.Errorf("%s: %v", when, err)
		}
	}
	refused("first", false)
	tctest.Run(t, foreign)
	refused("soon after", false)
	if err := r.Driver.Release(t.Context(), r.A); err != nil {
		t.Fatal(err)
	}
	refused("after a release", true)
	refused("after a refusal", true)
	tctest.Run(t, "tc filter del dev p0 ingress pref 107")
	refused("when it is gone", false)
	tctest.Run(t, "tc qdisc del dev p0 clsact")
	tctest.Run(t, "tc qdisc add dev p0 clsact")
	tctest.Run(t, foreign)
	refused("somebody else's clsact", false)
	tctest.Run(t, "tc qdisc del dev p0 clsact")
	refused("clsact made anew", false)
}

// TestForeignAtOurPreference refuses a port where a preference is taken.
func TestForeignAtOurPreference(t *testing.T) {
	r := rig(t, flower.Config{Preference: 100})
	tctest.Run(t, "tc qdisc add dev p0 clsact")
	tctest.Run(t, "tc filter add dev p0 ingress pref 107 protocol ip u32 match ip dst 10.0.0.1/32 flowid 1:1")
	e := eswitch.New(r.Driver, eswitch.Config{})
	if err := e.PreparePort(t.Context(), r.A); !errors.Is(err, eswitch.ErrForeign) {
		t.Errorf("got %v, want ErrForeign", err)
	}
	if found, err := e.Audit(t.Context()); err != nil || len(found) != 0 {
		t.Errorf("audit beside a classifier without terse dumps: %v, %v", found, err)
	}
}

// TestConcurrentCreators prepares and releases one port from many goroutines.
func TestConcurrentCreators(t *testing.T) {
	r := rig(t, flower.Config{})
	e := eswitch.New(r.Driver, eswitch.Config{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				if err := e.PreparePort(t.Context(), r.A); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := e.ReleasePort(t.Context(), r.A); err != nil {
		t.Error(err)
	}
	if out := tctest.Run(t, "tc qdisc show dev p0"); strings.Contains(out, "clsact") {
		t.Error("no creator left its mark")
	}
}

// TestForeignUntouched compares everything foreign, byte by byte as tc shows it,
// before and after the whole life of our rules.
func TestForeignUntouched(t *testing.T) {
	tctest.NeedFlower(t)
	r := rig(t, flower.Config{})
	tctest.Run(t, "tc qdisc add dev p0 clsact")
	const flowerRule = "tc filter add dev p0 ingress pref %d protocol %s flower skip_hw ip_proto udp dst_port %d action mirred egress redirect dev p1 cookie %s"
	for _, words := range [][]any{
		{1, "ip", 53, "00112233445566778899aabbccddeeff"},      // as OVS marks its own
		{50, "ip", 53, "f10547000000000000000001"},             // our cookie, not our preference
		{0x4001, "ip", 5353, "f1054700000000000000000100"},     // our preference, a longer cookie
		{0x4001, "ip", 5354, "f105470000000000"},               // a shorter one
		{0x4001, "ip", 5355, "f10548000000000000000001"},       // another magic
		{0x4001, "ip", 5356, "f10547000000000000000000"},       // no session
		{0x4000 + 8, "ip", 53, "f10547000000000000000001"},     // our preference, another protocol
		{0x4000 - 4, "ip", 5353, "f10547000000000000000001"},   // that of a guard, with a session
		{0x4000 + 24, "ip", 53, "f10547000000000000000001"},    // the first preference behind ours
		{0x4000 - 5, "802.1q", 53, "f10547000000000000000001"}, // the last before
	} {
		if words[1] == "802.1q" {
			words[1] = "ipv6"
		}
		tctest.Run(t, fmt.Sprintf(flowerRule, words...))
	}
	tctest.Run(t, "tc filter add dev p0 ingress chain 3 pref 16385 protocol ip flower skip_hw ip_proto udp action mirred egress redirect dev p1 cookie f10547000000000000000001")
	tctest.Run(t, "tc filter add dev p0 egress pref 16385 protocol ip flower skip_hw ip_proto udp action mirred egress redirect dev p1 cookie f10547000000000000000001")
	tctest.Run(t, "tc filter add dev p0 ingress pref 2 protocol all matchall skip_hw action mirred egress mirror dev p1")
	tctest.Run(t, "tc filter add dev p0 ingress pref 3 protocol ip flower skip_hw ip_proto tcp action pedit ex munge ip ttl set 3 pipe action drop")

	show := func() string {
		return tctest.Run(t, "tc -j filter show dev p0 ingress") + tctest.Run(t, "tc -j filter show dev p0 egress")
	}
	before := show()
	e := eswitch.New(r.Driver, eswitch.Config{})
	if err := e.PreparePort(t.Context(), r.A); !errors.Is(err, eswitch.ErrForeign) {
		t.Errorf("prepare beside foreign filters at our preference: %v", err)
	}
	if err := e.PreparePort(t.Context(), r.B); err != nil {
		t.Fatal(err)
	}
	s := append(r.Sessions(20), r.Session(100, flows.UDP, false), r.Session(101, flows.UDP, true))
	for _, res := range e.Install(t.Context(), s) {
		if res.Err != nil {
			t.Fatal(res.Err)
		}
	}
	if show() == before {
		t.Fatal("tc does not show our rules")
	}
	if n, err := eswitch.New(r.Driver, eswitch.Config{}).Sweep(t.Context()); err != nil || n != 44 {
		t.Errorf("sweep removed %d, %v", n, err)
	}
	e = eswitch.New(r.Driver, eswitch.Config{}) // the old one knows them as installed
	for _, res := range e.Install(t.Context(), s) {
		if res.Err != nil {
			t.Fatal(res.Err)
		}
	}
	if n, err := eswitch.New(r.Driver, eswitch.Config{}).Flush(t.Context()); err != nil || n != 44 {
		t.Errorf("flush removed %d, %v", n, err)
	}
	if after := show(); after != before {
		t.Errorf("foreign filters changed:\n%s\n%s", before, after)
	}
}

// TestEqualsTC installs each kind of rule and lets tc show it, then lets tc install
// the same and compares.
func TestEqualsTC(t *testing.T) {
	tctest.NeedFlower(t)
	r := rig(t, flower.Config{Generation: 7})
	for _, tt := range []struct {
		session flows.Session
		tc      string
	}{
		{r.Session(1, flows.TCP, false), "pref 16384 protocol ip flower skip_hw src_mac 02:00:00:00:00:01 dst_mac 02:00:00:00:00:02 ip_proto tcp ip_flags nofrag src_ip 10.0.0.1 dst_ip 192.0.2.1 src_port 40000 dst_port 443 tcp_flags 0x0/0x7"},
		{r.Session(1, flows.UDP, false), "pref 16385 protocol ip flower skip_hw src_mac 02:00:00:00:00:01 dst_mac 02:00:00:00:00:02 ip_proto udp ip_flags nofrag src_ip 10.0.0.1 dst_ip 192.0.2.1 src_port 40000 dst_port 443"},
		{r.Session(1, flows.SCTP, false), "pref 16386 protocol ip flower skip_hw src_mac 02:00:00:00:00:01 dst_mac 02:00:00:00:00:02 ip_proto sctp ip_flags nofrag src_ip 10.0.0.1 dst_ip 192.0.2.1 src_port 40000 dst_port 443"},
		{r.Session(1, flows.ESP, false), "pref 16387 protocol ip flower skip_hw src_mac 02:00:00:00:00:01 dst_mac 02:00:00:00:00:02 ip_proto 32 ip_flags nofrag src_ip 10.0.0.1 dst_ip 192.0.2.1"},
		{r.Session(1, flows.TCP, true), "pref 16388 protocol ipv6 flower skip_hw src_mac 02:00:00:00:00:01 dst_mac 02:00:00:00:00:02 ip_proto tcp ip_flags nofrag src_ip 2001:db8::1 dst_ip 2001:db8::ffff src_port 40000 dst_port 443 tcp_flags 0x0/0x7"},
		{r.Session(1, flows.UDP, true), "pref 16389 protocol ipv6 flower skip_hw src_mac 02:00:00:00:00:01 dst_mac 02:00:00:00:00:02 ip_proto udp ip_flags nofrag src_ip 2001:db8::1 dst_ip 2001:db8::ffff src_port 40000 dst_port 443"},
	} {
		e := prepared(t, r)
		if res := e.Install(t.Context(), []flows.Session{tt.session}); res[0].Err != nil {
			t.Fatal(res[0].Err)
		}
		found, err := e.Audit(t.Context())
		if err != nil || len(found) != 2 {
			t.Fatalf("%+v, %v", found, err)
		}
		handle := found[0].Ref.Handle
		if found[0].Ref.Link != r.A {
			handle = found[1].Ref.Handle
		}
		ours := normalize(tctest.Run(t, "tc -j filter show dev p0 ingress"))
		if _, err := e.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		tctest.Run(t, "tc qdisc add dev p0 clsact")
		tctest.Run(t, fmt.Sprintf("tc filter add dev p0 ingress handle %#x %s action mirred egress redirect dev p1 cookie f105470700000100%08x no_percpu", handle, tt.tc, 1))
		theirs := normalize(tctest.Run(t, "tc -j filter show dev p0 ingress"))
		tctest.Run(t, "tc qdisc del dev p0 clsact")
		if ours != theirs {
			t.Errorf("%s\nours: %s\ntc:   %s", tt.session.Rules[0].Tuple, ours, theirs)
		}
	}
}

// normalize cuts out the numbers of the actions, which the kernel counts up.
func normalize(s string) string { return actionIndex.ReplaceAllString(s, "") }

var actionIndex = regexp.MustCompile(`"index":\d+,`)

// TestChangesEqualTC is TestEqualsTC for what changes packets: tc shows the same filter
// whether it was installed by us or by itself.
func TestChangesEqualTC(t *testing.T) {
	tctest.NeedFlower(t)
	const macs = "src_mac 02:00:00:00:00:01 dst_mac 02:00:00:00:00:02 "
	const tcp = "ip_proto tcp ip_flags nofrag src_ip 10.0.0.1 dst_ip 192.0.2.1 src_port 40000 dst_port 443 tcp_flags 0x0/0x7"
	const udp = "ip_proto udp ip_flags nofrag src_ip 10.0.0.1 dst_ip 192.0.2.1 src_port 40000 dst_port 443"
	const tcp6 = "ip_proto tcp ip_flags nofrag src_ip 2001:db8::1 dst_ip 2001:db8::ffff src_port 40000 dst_port 443 tcp_flags 0x0/0x7"
	routers := "munge eth src set 02:00:00:00:00:03 munge eth dst set 02:00:00:00:00:04 "
	for _, tt := range []struct {
		shape, match string
		actions      []string
	}{
		{"from access to trunk", "pref 16384 protocol ip flower skip_hw " + macs + tcp,
			[]string{"vlan push protocol 802.1Q id 9 priority 5 pipe"}},
		{"tagged by a provider", "pref 16401 protocol 802.1ad flower skip_hw vlan_id 8 vlan_prio 0 vlan_ethtype ip " + macs + udp, nil},
		{"inner tag", "pref 16400 protocol 802.1ad flower skip_hw vlan_id 8 vlan_prio 0 vlan_ethtype 802.1Q cvlan_id 7 cvlan_prio 0 cvlan_ethtype ip " + macs + tcp,
			[]string{"vlan pop pipe", "vlan modify protocol 802.1Q id 9 priority 5 pipe", "vlan push protocol 802.1ad id 8 priority 0 pipe"}},
		{"routed", "pref 16384 protocol ip flower skip_hw " + macs + tcp,
			[]string{"pedit ex " + routers + "munge ip ttl add 255 pipe", "csum ip4h pipe"}},
		{"routed with two tags", "pref 16404 protocol 802.1ad flower skip_hw vlan_id 8 vlan_prio 0 vlan_ethtype 802.1Q cvlan_id 7 cvlan_prio 0 cvlan_ethtype ipv6 " + macs + tcp6,
			[]string{"vlan pop pipe", "pedit ex " + routers + "munge ip6 hoplimit add 254 pipe", "vlan push protocol 802.1ad id 8 priority 0 pipe"}},
		{"SNAT", "pref 16385 protocol ip flower skip_hw " + macs + udp,
			[]string{"nat egress 10.0.0.1/32 203.0.113.9 pipe"}},
		{"floating IP", "pref 16384 protocol ip flower skip_hw " + macs + tcp,
			[]string{"nat egress 10.0.0.1/32 203.0.113.1 pipe", "nat ingress 192.0.2.1/32 203.0.113.2 pipe",
				"pedit ex " + routers + "munge ip ttl add 255 pipe", "csum ip4h pipe"}},
		{"Geneve", "pref 16384 protocol ip flower skip_hw " + macs + tcp,
			[]string{"tunnel_key set src_ip 198.51.100.1 dst_ip 198.51.100.2 id 1193046 dst_port 6081 geneve_opts 0102:80:00030004 tos 0x28 ttl 64 csum pipe"}},
	} {
		r := rig(t, flower.Config{Generation: 7})
		e := prepared(t, r)
		i := slices.IndexFunc(eswitchtest.Shapes, func(s eswitchtest.Shape) bool { return s.Name == tt.shape })
		if res := e.Install(t.Context(), []flows.Session{r.Shaped(1, eswitchtest.Shapes[i])}); res[0].Err != nil {
			t.Fatal(res[0].Err)
		}
		pref := strings.Fields(tt.match)[1]
		show := func() string { return normalize(tctest.Run(t, "tc -j filter show dev p0 ingress pref "+pref)) }
		handle := uint32(0)
		found, err := e.Audit(t.Context())
		for _, f := range found {
			if f.Session != 0 && f.Ref.Link == r.A {
				handle = f.Ref.Handle
			}
		}
		ours := show()
		if _, errFlush := e.Flush(t.Context()); err != nil || errFlush != nil {
			t.Fatal(err, errFlush)
		}
		const mine = " cookie f10547070000010000000001 no_percpu "
		command := fmt.Sprintf("tc filter add dev p0 ingress handle %#x %s", handle, tt.match)
		for _, a := range append(tt.actions, "mirred egress redirect dev p1") {
			command += " action " + a + mine
		}
		tctest.Run(t, "tc qdisc add dev p0 clsact")
		tctest.Run(t, command)
		if theirs := show(); ours != theirs {
			t.Errorf("%s\nours: %s\ntc:   %s", tt.shape, ours, theirs)
		}
	}
}

// TestGuardEqualsTC compares guards, which pass what has few hops left.
func TestGuardEqualsTC(t *testing.T) {
	tctest.NeedFlower(t)
	for _, tt := range []struct{ shape, match string }{
		{"routed", "pref 16380 protocol ip flower skip_hw ip_ttl 0/0xfc"},
		{"NAT over IPv6", "pref 16381 protocol ipv6 flower skip_hw ip_ttl 0/0xfc"},
		{"routed between tags", "pref 16382 protocol 802.1Q flower skip_hw vlan_ethtype ip ip_ttl 0/0xfc"},
		{"routed with two tags", "pref 16383 protocol 802.1ad flower skip_hw vlan_ethtype 802.1Q cvlan_ethtype ipv6 ip_ttl 0/0xfc"},
	} {
		r := rig(t, flower.Config{})
		e := prepared(t, r)
		i := slices.IndexFunc(eswitchtest.Shapes, func(s eswitchtest.Shape) bool { return s.Name == tt.shape })
		shape := eswitchtest.Shapes[i]
		shape.NAT = nil
		if res := e.Install(t.Context(), []flows.Session{r.Shaped(1, shape)}); res[0].Err != nil {
			t.Fatal(res[0].Err)
		}
		show := func() string {
			return normalize(tctest.Run(t, "tc -j filter show dev p0 ingress pref "+strings.Fields(tt.match)[1]))
		}
		found, err := e.Audit(t.Context())
		g := slices.IndexFunc(found, func(f eswitch.Found) bool { return f.Session == 0 && f.Ref.Link == r.A })
		ours := show()
		if _, errFlush := e.Flush(t.Context()); err != nil || errFlush != nil {
			t.Fatal(err, errFlush)
		}
		tctest.Run(t, "tc qdisc add dev p0 clsact")
		tctest.Run(t, fmt.Sprintf("tc filter add dev p0 ingress handle %#x %s action pass cookie f10547000000000000000000 no_percpu", found[g].Ref.Handle, tt.match))
		if theirs := show(); ours != theirs {
			t.Errorf("%s\nours: %s\ntc:   %s", tt.shape, ours, theirs)
		}
	}
}

// TestSeparatePreferences: what has another mask stands at another preference.
func TestSeparatePreferences(t *testing.T) {
	tctest.NeedFlower(t)
	r := rig(t, flower.Config{Preference: 500})
	e := prepared(t, r)
	s := []flows.Session{r.Session(1, flows.TCP, false), r.Session(2, flows.TCP, true), r.Session(3, flows.GRE, true)}
	for _, res := range e.Install(t.Context(), s) {
		if res.Err != nil {
			t.Fatal(res.Err)
		}
	}
	show := tctest.Run(t, "tc filter show dev p0 ingress")
	for _, want := range []string{"protocol ip pref 500", "protocol ipv6 pref 504", "protocol ipv6 pref 507"} {
		if !strings.Contains(show, want) {
			t.Errorf("no %q in\n%s", want, show)
		}
	}
}

// TestQdiscVanished removes the clsact below our rules.
func TestQdiscVanished(t *testing.T) {
	tctest.NeedFlower(t)
	r := rig(t, flower.Config{})
	e := prepared(t, r)
	s := r.Sessions(5)
	if res := e.Install(t.Context(), s); res[0].Err != nil {
		t.Fatal(res[0].Err)
	}
	tctest.Run(t, "tc qdisc del dev p1 clsact")
	if res := e.Install(t.Context(), []flows.Session{r.Session(9, flows.TCP, false)}); !errors.Is(res[0].Err, eswitch.ErrNotPrepared) || !errors.Is(res[0].Err, unix.EINVAL) {
		t.Errorf("install: %v", res[0].Err)
	}
	if _, lost, err := e.Counters(t.Context()); err != nil || len(lost) != 5 {
		t.Errorf("lost %v, %v", lost, err)
	}
	if err := errors.Join(e.Remove(t.Context(), eswitchtest.IDs(s))...); err != nil {
		t.Errorf("remove: %v", err)
	}
	if show := tctest.Run(t, "tc filter show dev p0 ingress"); show != "" {
		t.Errorf("left: %s", show)
	}
}
