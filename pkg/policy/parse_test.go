package policy_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/policy"
)

func TestParse(t *testing.T) {
	none := 0
	got, err := policy.Parse(policy.Spec{Name: "a", Priority: 7, Verdict: "offload",
		Protocols: []string{"udp", "tcp"}, SrcPrefixes: []string{"10.1.2.3/8", "10.0.0.0/8", "2001:db8::1"},
		DstPorts: []string{"81-90", "80", "443", "85-100"}, Applications: []string{"TLS"}, ServerNames: []string{"*.Example.COM."},
		DSCP: []int{46, 0}, ElephantAge: 3, InspectPackets: &none, MaxLifetime: 60, ReinspectInterval: 600})
	if err != nil {
		t.Fatal(err)
	}
	m := got.Match
	if !slices.Equal(m.Protocols, []flows.Proto{flows.TCP, flows.UDP}) ||
		!slices.Equal(m.Src, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::1/128")}) ||
		!slices.Equal(m.DstPorts, []policy.PortRange{{80, 100}, {443, 443}}) ||
		!slices.Equal(m.Applications, []string{"tls"}) || !slices.Equal(m.ServerNames, []string{"*.example.com"}) ||
		!slices.Equal(m.DSCP, []uint8{0, 46}) {
		t.Errorf("%+v", m)
	}
	if want := (flows.Terms{Age: 3 * time.Second, MaxLifetime: time.Minute, Reinspect: 10 * time.Minute}); got.Terms != want {
		t.Errorf("%+v", got.Terms)
	}
	if p, err := policy.Parse(policy.Spec{Name: "b"}); err != nil || p.Verdict != flows.Inspect || p.Terms.InspectPackets != flows.DefaultInspectPackets {
		t.Errorf("%+v, %v", p, err)
	}
}

// TestProblems pins what an operator reads.
func TestProblems(t *testing.T) {
	n := -1
	for want, s := range map[string]policy.Spec{
		`dst_ports: "80-" is no port or range: want 0..65535 or FIRST-LAST`:                                                   {DstPorts: []string{"80-"}},
		`src_ports: "65536" is no port or range: want 0..65535 or FIRST-LAST`:                                                 {SrcPorts: []string{"65536"}},
		`src_ports: "9-8" is an empty range: its first port is above its last`:                                                {SrcPorts: []string{"9-8"}},
		`src_prefixes: "10.0.0.0/33" is no IP address or prefix: want 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32`:               {SrcPrefixes: []string{"10.0.0.0/33"}},
		`dst_prefixes: "fe80::1%eth0" is no IP address or prefix: want 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32`:              {DstPrefixes: []string{"fe80::1%eth0"}},
		`dst_prefixes: "::ffff:10.0.0.1" is an IPv4 address in IPv6: write it as IPv4`:                                        {DstPrefixes: []string{"::ffff:10.0.0.1"}},
		`protocols: "sctp" is none of tcp, udp, esp, ah and gre`:                                                              {Protocols: []string{"sctp"}},
		`priority: 65536 is not between 0 and 65535`:                                                                          {Priority: 65536},
		`verdict: "allow" is neither inspect, offload nor drop`:                                                               {Verdict: "allow"},
		`dscp: 64 is not between 0 and 63`:                                                                                    {DSCP: []int{64}},
		`inspect_packets: -1 is not between 0 and 1000000`:                                                                    {InspectPackets: &n},
		`applications: "t l s" is no name of an application: want letters, digits, '-', '_' and '.'`:                          {Applications: []string{"t l s"}},
		`server_names: "a*.example.com" is no pattern for server names: want NAME, *.NAME or *, letters beyond ASCII as xn--`: {ServerNames: []string{"a*.example.com"}},
		`src_ports: "a" is no port or range: want 0..65535 or FIRST-LAST; src_ports: "b" is no port or range: want 0..65535 or FIRST-LAST; dscp: 99 is not between 0 and 63`: {
			DSCP: []int{99}, SrcPorts: []string{"b", "80", "a"}},
	} {
		s.Name = "x"
		if _, err := policy.Parse(s); err == nil || err.Error() != `policy "x": `+want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	if _, err := policy.Parse(policy.Spec{Name: "x", SrcPorts: slices.Repeat([]string{"y"}, 20)}); err == nil || !strings.HasSuffix(err.Error(), "; and 12 more") {
		t.Errorf("%v", err)
	}
	if _, err := policy.Parse(policy.Spec{Name: "x", SrcPorts: slices.Repeat([]string{"1"}, policy.MaxValues+1)}); err == nil {
		t.Error("too many values are read")
	}
	if _, err := policy.ParseProfile(policy.ProfileSpec{Name: "x", ServerNames: []string{strings.Repeat("a.", 200)}}); err == nil {
		t.Error("a name of 400 bytes is read")
	}
}

// FuzzParse shows that what is written is understood or complained about, and never worse.
func FuzzParse(f *testing.F) {
	f.Add("10.0.0.0/8", "80-90", "*.example.com", "tap*", 4)
	f.Fuzz(func(t *testing.T, prefix, port, name, glob string, n int) {
		s := policy.Spec{Name: name, Priority: n, SrcPrefixes: []string{prefix}, DstPorts: []string{port}, ServerNames: []string{name, prefix},
			Interfaces: []string{glob}, Applications: []string{glob}, DSCP: []int{n}, Verdict: "drop", ElephantAge: n}
		table, problems := policy.Compile([]policy.Spec{s}, []policy.ProfileSpec{{Name: glob, DstPorts: []string{port}, ServerNames: []string{name}}}, nil)
		for _, p := range problems {
			if p.Text == "" || len(p.Text) > 8192 {
				t.Errorf("%+v", p)
			}
		}
		table = table.WithPorts([]policy.Port{{ID: 1, Name: glob}})
		table.Decide(&flows.Subject{Placed: true, In: 1, Content: flows.Content{Known: true, Application: glob, ServerName: name}})
	})
}
