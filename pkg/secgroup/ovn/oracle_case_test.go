package ovn_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// oracleCase is a policy and one packet, where random worlds do not come by. The packet is
// from host a.
type oracleCase struct {
	name     string
	commands string // of ovn-nbctl, one a line; an argument with blanks is in quotes
	to       string // the host that it goes to
	src      string // its source address, if that is not a's own
	closed   bool   // a table may deny what OVN permits
	southern bool   // only the Southbound source knows
}

// caseNetwork is two switches and a router between them.
const caseNetwork = `
ls-add sw0
lsp-add sw0 a
lsp-set-addresses a '02:00:00:00:00:01 10.0.0.1 fd00::1'
lsp-add sw0 b
lsp-set-addresses b '02:00:00:00:00:02 10.0.0.2 fd00::2'
ls-add sw1
lsp-add sw1 c
lsp-set-addresses c '02:00:00:00:00:03 10.0.1.3'
lr-add lr
lrp-add lr lr0 02:00:00:00:01:00 10.0.0.254/24
lrp-add lr lr1 02:00:00:00:01:01 10.0.1.254/24
lsp-add sw0 s0r
lsp-set-type s0r router
lsp-set-addresses s0r router
lsp-set-options s0r router-port=lr0
lsp-add sw1 s1r
lsp-set-type s1r router
lsp-set-addresses s1r router
lsp-set-options s1r router-port=lr1
create Address_Set name=` + markSet + `
`

// stateful gives both switches an ACL that matches nothing here, for which they ask conntrack.
const stateful = `
acl-add sw0 from-lport 5 udp.src==9 allow-related
acl-add sw1 from-lport 5 udp.src==9 allow-related
`

var oracleCases = []oracleCase{
	{name: "no ACLs", to: "b"},
	{name: "no ACLs, routed", to: "c"},
	{name: "no ACLs, port security", to: "b", commands: `lsp-set-port-security a '02:00:00:00:00:01 10.0.0.1'`},
	{name: "no ACLs, a port group", to: "b", commands: `pg-add pg a b`},
	{name: "no ACLs here, some there", to: "c", commands: `acl-add sw1 to-lport 5 'outport=="c" && tcp' allow-related`},
	{name: "no ACLs here, drop there", to: "c", commands: `acl-add sw1 to-lport 5 'outport=="c" && tcp' drop`},
	{name: "no ACLs, a load balancer", to: "b", commands: "lb-add lb0 10.0.0.9:80 10.0.0.2:80\nls-lb-add sw0 lb0"},
	{name: "stateful, none matches", to: "c", commands: stateful},
	{name: "one of two groups elsewhere", to: "b", commands: stateful + `
		pg-add pg_a b
		pg-add pg_b c
		acl-add sw0 to-lport 1001 ip drop
		acl-add sw0 to-lport 1002 'outport == {@pg_a, @pg_b} && tcp' allow-related`},
	{name: "nothing behind load balancing permits", to: "b", commands: `
		set NB_Global . options:default_acl_drop=true
		acl-add sw0 from-lport 1001 'inport == "a" && ip4' allow-related
		acl-add sw0 to-lport 1001 'outport == "b" && ip4' allow-related`},
	{name: "mapped IPv4", to: "b", src: "::ffff:10.0.0.1", commands: stateful + `
		acl-add sw0 from-lport 1001 ip6.src==::ffff:10.0.0.1 drop`},
	{name: "not an address of the port", to: "b", src: "10.0.0.9", commands: stateful + `lsp-set-port-security a '02:00:00:00:00:01 10.0.0.1'`},
	// ovn-trace does not know networks here, as '10.0.0.8/30' is one in ovn-nb(5).
	{name: "an address of the port", to: "b", src: "10.0.0.9", commands: stateful + `lsp-set-port-security a '02:00:00:00:00:01 10.0.0.1 10.0.0.9/24'`},
	{name: "any address of the port", to: "b", src: "10.0.0.9", commands: stateful + `lsp-set-port-security a '02:00:00:00:00:01'`},
	{name: "not the network of the port", to: "b", src: "10.0.0.9", commands: stateful + `lsp-set-port-security a '02:00:00:00:00:01 10.0.0.1/24'`},
	{name: "not an address of the other port", to: "b", commands: stateful + `lsp-set-port-security b '02:00:00:00:00:02 10.0.0.1'`},
	{name: "a link-local address", to: "b", src: "fe80::ff:fe00:1", commands: stateful + `lsp-set-port-security a '02:00:00:00:00:01 fd00::1'`},
	{name: "not its link-local address", to: "b", src: "fe80::ff:fe00:2", commands: stateful + `lsp-set-port-security a '02:00:00:00:00:01 fd00::1'`},
	{name: "other family than the port's", to: "b", src: "fd00::1", commands: stateful + `lsp-set-port-security a '02:00:00:00:00:01 10.0.0.1'`},
	{name: "from a disabled port", to: "b", commands: stateful + `lsp-set-enabled a disabled`},
	{name: "to a disabled port", to: "b", commands: stateful + `lsp-set-enabled b disabled`},
	{name: "to a disabled port of a switch without ACLs", to: "c", commands: `lsp-set-enabled c disabled`},
	{name: "drop where it leaves the switch", to: "c", commands: stateful + `acl-add sw0 to-lport 1001 ip4.dst==10.0.1.3 drop`},
	{name: "drop where it enters the switch", to: "c", commands: stateful + `acl-add sw1 from-lport 1001 ip4.src==10.0.0.1 drop`},
	{name: "drop where another leaves the switch", to: "c", commands: stateful + `acl-add sw0 to-lport 1001 ip4.dst==10.0.1.4 drop`},
	{name: "drop at the router's port", to: "c", commands: stateful + `acl-add sw0 to-lport 1001 'outport == "s0r" && ip4' drop`},
	{name: "drop at a group of the router's port", to: "c", commands: `
		pg-add fw s1r
		acl-add fw from-lport 1001 'inport == @fw && ip4' drop`},
	{name: "drop at other instances", to: "c", commands: stateful + `
		pg-add pg_drop b
		acl-add pg_drop to-lport 1001 'outport == @pg_drop && ip' drop
		acl-add pg_drop from-lport 1001 'inport == @pg_drop && ip' drop`},
	{name: "drop of a group elsewhere", to: "b", closed: true, commands: stateful + `
		acl-add sw0 from-lport 1002 'inport == @nope || inport == "a"' drop`},
}

// TestOracleCases compares answers about single packets of established connections.
func TestOracleCases(t *testing.T) {
	for name, r := range map[string]func(testing.TB) release{"oldest": oldest, "newer": newer} {
		t.Run(name, func(t *testing.T) {
			for _, o := range oracleCases {
				t.Run(o.name, func(t *testing.T) { o.examine(t, startCentral(t, r(t))) })
			}
		})
	}
}

func (o *oracleCase) examine(t *testing.T, c *central) {
	args := []string{}
	for line := range strings.Lines(caseNetwork + o.commands) {
		if words := splitWords(line); len(words) > 0 {
			args = append(append(args, "--"), words...)
		}
	}
	c.nbctl(args[1:]...)
	w := &world{hosts: []*host{{name: "a"}, {name: "b"}, {name: "c"}}}
	c.adopt(w)
	mark := c.mark()
	tables := map[string]*secgroup.Table{"Southbound": follow(t, c, southbound).at(c, mark)}
	if !o.southern {
		tables["Northbound"] = follow(t, c, northbound).at(c, mark)
	}
	trace := c.trace(est, 0)
	text, err := trace.client.Call(t.Context(), "trace", o.microflow())
	if err != nil {
		t.Fatal(err)
	}
	arrived := strings.Contains(text, fmt.Sprintf("/* output to %q", o.to))
	for source, table := range tables {
		leaves := table.Judge("a", flows.Egress, o.tuple())
		enters := table.Judge(flows.LogicalPort(o.to), flows.Ingress, o.tuple())
		permitted := leaves.Reason == "" && enters.Reason == ""
		if permitted && !arrived || !permitted && arrived && !o.closed {
			t.Errorf("%s: %q by %q, %q by %q, %s%s; OVN: arrived %v\n%s", source, leaves.Reason, table.Describe(leaves.Rule),
				enters.Reason, table.Describe(enters.Rule), table.Detail("a"), table.Detail(flows.LogicalPort(o.to)), arrived, text)
		}
	}
}

// splitWords splits a line at blanks that are not in quotes.
func splitWords(line string) (words []string) {
	for i, text := range strings.Split(line, "'") {
		if i%2 == 1 {
			words = append(words, text)
		} else {
			words = append(words, strings.Fields(text)...)
		}
	}
	return words
}

func (o *oracleCase) tuple() flows.Tuple {
	src, dst := "10.0.0.1", map[string]string{"b": "10.0.0.2", "c": "10.0.1.3"}[o.to]
	if o.src != "" {
		src = o.src
	}
	if strings.Contains(src, ":") {
		dst = "fd00::2"
	}
	return flows.Tuple{Proto: flows.TCP, Src: netip.MustParseAddr(src), Dst: netip.MustParseAddr(dst), SrcPort: 1000, DstPort: 80}
}

func (o *oracleCase) microflow() string {
	t, ip, mac := o.tuple(), "ip4", "02:00:00:00:00:02"
	if o.to == "c" {
		mac = "02:00:00:00:01:00" // the router's
	}
	if t.IsIPv6() {
		ip = "ip6"
	}
	return fmt.Sprintf(`inport == "a" && eth.src == 02:00:00:00:00:01 && eth.dst == %s && %s.src == %s && %s.dst == %s && ip.ttl == 64 && tcp.src == 1000 && tcp.dst == 80`,
		mac, ip, t.Src, ip, t.Dst)
}
