package policy_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/policy"
)

// world makes policies and connections that have much to do with each other.
type world struct{ *rand.Rand }

func (w *world) one(n int) bool { return w.IntN(n) == 0 }

func pick[T any](w *world, of ...T) T { return of[w.IntN(len(of))] }

// some returns none of them, mostly, or one to three.
func some[T comparable](w *world, oneIn int, of ...T) (list []T) {
	if !w.one(oneIn) {
		return nil
	}
	for range 1 + w.IntN(3) {
		if v := pick(w, of...); !slices.Contains(list, v) {
			list = append(list, v)
		}
	}
	return list
}

var (
	prefixes = []string{"10.0.0.0/8", "10.0.0.0/16", "10.0.1.0/24", "10.0.0.1", "10.0.1.2/32", "0.0.0.0/0", "192.0.2.5/24",
		"2001:db8::/32", "2001:db8::1", "::/0", "2001:db8:0:1::/64"}
	ports    = []string{"80", "443", "0", "65535", "1-79", "80-443", "400-500", "443-8080", "0-65535", "81"}
	patterns = []string{"example.com", "*.example.com", "*.COM", "a.example.com", "*.a.example.com", "*", "*.b.a.example.com", "net"}
	apps     = []string{"tls", "http", "ssh", "quic", "ipsec", "Uninspectable", "uninspectable", "dns"}
)

func (w *world) policy(name string) policy.Spec {
	p := policy.Spec{Name: name, Priority: w.IntN(4), Disabled: w.one(12), Verdict: pick(w, "", "inspect", "drop", "offload", "offload", "offload")}
	p.Protocols = some(w, 4, "tcp", "udp", "esp", "ah", "gre")
	p.SrcPrefixes, p.DstPrefixes = some(w, 4, prefixes...), some(w, 4, prefixes...)
	p.SrcPorts, p.DstPorts = some(w, 6, ports...), some(w, 4, ports...)
	p.Interfaces = some(w, 8, "tap*", "tap1", "vnet?", "*", "?ap2")
	p.IfaceIDs = some(w, 8, "a*", "*b", "ab", "*")
	p.SecurityGroups, p.Tenants = some(w, 6, called...), some(w, 6, called...)
	p.DSCP = some(w, 8, 0, 46, 63, 34)
	p.Applications = some(w, 4, apps...)
	for i, a := range p.Applications {
		if a == "Uninspectable" {
			p.Applications[i] = policy.Uninspectable
		}
	}
	p.ServerNames = some(w, 8, patterns...)
	p.ElephantBytes = w.IntN(2)
	return p
}

func (w *world) profile(name string) policy.ProfileSpec {
	return policy.ProfileSpec{Name: name, Disabled: w.one(6),
		DstPrefixes: some(w, 2, prefixes...), DstPorts: some(w, 2, ports...), ServerNames: some(w, 2, patterns...)}
}

func (w *world) port(id flows.PortID) policy.Port {
	return policy.Port{ID: id, Name: pick(w, "tap1", "tap2", "vnet1", "eth0"), IfaceID: pick(w, "", "ab", "a", "b"),
		Tenant: w.names(1, tenants), SecurityGroups: w.names(2, groups)}
}

// What is called how: an id, and a name.
var (
	tenants = [][2]string{{"0123456789abcdef0123456789abcdef", "red"}, {"fedcba9876543210fedcba9876543210", "blue"}, {"plain", "green"}}
	groups  = [][2]string{{"c0ffee00-1111-4222-8333-444455556601", "web"}, {"c0ffee00-1111-4222-8333-444455556602", "db"}, {"3", "other"},
		{"c0ffee00-1111-4222-8333-444455556603", "c0ffee00-1111-4222-8333-444455556601"}} // somebody took another's id for a name
	// called are ways in which people write these.
	called = []string{"red", "blue", "0123456789abcdef0123456789abcdef", "FEDCBA98-7654-3210-fedc-ba9876543210", "plain", "web", "db",
		"c0ffee00-1111-4222-8333-444455556601", "C0FFEE00111142228333444455556602", "3", "nobody", "00000000-0000-4000-8000-000000000000"}
)

// names is what is known of up to most of some things.
func (w *world) names(most int, of [][2]string) (n policy.Names) {
	if w.one(4) {
		return n
	}
	n.IDs, n.Named = true, w.one(2)
	for range w.IntN(most + 1) {
		thing := pick(w, of...)
		if n.List = append(n.List, thing[0]); n.Named {
			n.Called = append(n.Called, thing[1])
		}
	}
	return n
}

// learn makes known what was not of a port: one of all that it can be.
func (w *world) learn(p policy.Port) policy.Port {
	for _, of := range []struct {
		*policy.Names
		most   int
		things [][2]string
	}{{&p.Tenant, 1, tenants}, {&p.SecurityGroups, 2, groups}} {
		if !of.IDs {
			*of.Names = w.names(of.most, of.things)
			continue
		}
		var names []string
		for _, id := range of.List {
			for _, thing := range of.things {
				if thing[0] == id {
					names = append(names, thing[1])
				}
			}
		}
		of.Called, of.Named = names, true
	}
	return p
}

func (w *world) all() *naive {
	n := &naive{}
	for i := range w.IntN(12) {
		n.policies = append(n.policies, w.policy(fmt.Sprintf("p%d", i)))
	}
	if w.one(8) { // more than one word
		for i := range 130 {
			p := w.policy(fmt.Sprintf("q%d", i))
			p.DstPrefixes, p.DstPorts = []string{fmt.Sprintf("10.0.1.%d", i)}, some(w, 2, ports...)
			n.policies = append(n.policies, p)
		}
	}
	for i := range w.IntN(4) {
		n.profiles = append(n.profiles, w.profile(fmt.Sprintf("d%d", i)))
	}
	for id := range flows.PortID(5) {
		n.ports = append(n.ports, w.port(id+1))
	}
	return n
}

// change changes something.
func (w *world) change(old *naive) *naive {
	n := &naive{slices.Clone(old.policies), slices.Clone(old.profiles), slices.Clone(old.ports)}
	for range 1 + w.IntN(2) {
		switch w.IntN(6) {
		case 0:
			n.ports[w.IntN(len(n.ports))] = w.port(n.ports[w.IntN(len(n.ports))].ID)
			slices.SortFunc(n.ports, func(a, b policy.Port) int { return int(a.ID) - int(b.ID) })
			n.ports = slices.CompactFunc(n.ports, func(a, b policy.Port) bool { return a.ID == b.ID })
		case 1:
			if len(n.profiles) > 0 {
				i := w.IntN(len(n.profiles))
				n.profiles[i] = w.profile(n.profiles[i].Name)
			}
		case 2:
			n.policies = append(n.policies, w.policy(fmt.Sprintf("n%d", w.Uint32())))
		case 3:
			if len(n.policies) > 0 {
				i := w.IntN(len(n.policies))
				n.policies = slices.Delete(n.policies, i, i+1)
			}
		default:
			if len(n.policies) > 0 {
				i := w.IntN(len(n.policies))
				n.policies[i] = w.policy(n.policies[i].Name)
			}
		}
	}
	return n
}

func (n *naive) compile(last *policy.Table) (*policy.Table, []policy.Problem) {
	t, problems := policy.Compile(n.policies, n.profiles, last)
	return t.WithPorts(n.ports), problems
}

func (w *world) tuple() flows.Tuple {
	a := pick(w, [2]string{"10.0.0.1", "10.0.1.2"}, [2]string{"10.0.1.7", "192.0.2.9"}, [2]string{"10.9.9.9", "10.0.1.7"},
		[2]string{"2001:db8::1", "2001:db8:0:1::5"}, [2]string{"2001:db8:0:1::5", "::1"}, [2]string{"203.0.113.1", "10.0.0.1"})
	t := flows.Tuple{Src: netip.MustParseAddr(a[0]), Dst: netip.MustParseAddr(a[1]),
		Proto: pick(w, flows.TCP, flows.TCP, flows.UDP, flows.ESP, flows.AH, flows.GRE, flows.ICMP, flows.SCTP)}
	if w.one(3) && t.Dst.Is4() {
		t.Dst = netip.AddrFrom4([4]byte{10, 0, 1, byte(w.IntN(140))})
	}
	if t.Proto.HasPorts() || t.Proto == flows.ICMP {
		t.SrcPort, t.DstPort = pick[uint16](w, 0, 80, 81, 443, 40000, 65535), pick[uint16](w, 0, 79, 80, 81, 443, 444, 8080, 65535)
	}
	return t
}

func (w *world) subject() flows.Subject {
	s := flows.Subject{Tuple: w.tuple()}
	if s.Far = s.Tuple; w.one(4) {
		s.Far = w.tuple()
		s.Far.Proto = s.Tuple.Proto
	}
	if !w.one(3) {
		w.place(&s)
	}
	if !w.one(3) {
		s.DSCP = w.dscp()
	}
	if !w.one(3) {
		s.Content = w.content()
	}
	return s
}

func (w *world) place(s *flows.Subject) {
	s.Placed, s.In, s.Out = true, flows.PortID(w.IntN(7)), flows.PortID(w.IntN(7))
}

func (w *world) dscp() flows.DSCP { return pick[flows.DSCP](w, 1, 47, 64, 35, 3) }

func (w *world) content() flows.Content {
	return flows.Content{Known: true, Application: pick(w, "", "tls", "tls", "http", "ssh", "quic", "ipsec"),
		ServerName: pick(w, "", "example.com", "a.example.com", "x.a.example.com", "c.b.a.example.com", "com", "net", "b.org", ".example.com", "x..com")}
}
