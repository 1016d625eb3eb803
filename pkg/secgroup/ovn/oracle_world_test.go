package ovn_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
)

// world is what the Northbound database holds: two switches, their ports, port groups that
// have ports on both, address sets, and ACLs. Addresses and ports are few, so that random
// packets often match.
type world struct {
	rand    *rand.Rand
	style   style
	hosts   []*host
	members map[string][]string // of port groups
	acls    []acl
}

// style is who writes the ACLs.
type style struct {
	neutron bool
	exotic  bool // some of them say what no rule of this agent can
	tiers   bool // and actions of newer OVN
}

const dropGroup = "neutron_pg_drop"

func newWorld(seed uint64, s style) *world {
	w := &world{rand: rand.New(rand.NewPCG(seed, 0)), style: s, members: map[string][]string{}}
	for i := range 7 {
		w.hosts = append(w.hosts, &host{name: fmt.Sprintf("h%d", i), sw: fmt.Sprintf("sw%d", i/4), mac: fmt.Sprintf("02:00:00:00:00:%02x", i+1)})
	}
	return w
}

func (w *world) groups() []string { return []string{"pg_0", "pg_1", "pg_2"} }

// create returns the commands that make the world in an empty database.
func (w *world) create() (args []string) {
	args = append(args, "ls-add", "sw0", "--", "ls-add", "sw1", "--", "create", "Address_Set", "name="+markSet)
	for _, h := range w.hosts {
		args = append(args, "--", "lsp-add", h.sw, h.name)
		args = append(args, w.renumber(h)...)
	}
	for _, g := range w.groups() {
		args = append(args, "--", "pg-add", g)
		args = append(args, w.regroup(g)...)
	}
	for i := range 2 {
		for _, family := range []string{"4", "6"} {
			args = append(args, "--", "create", "Address_Set", fmt.Sprintf("name=ag%d_ip%s", i, family))
			args = append(args, w.refill(i, family)...)
		}
	}
	if w.style.neutron {
		args = append(args, "--", "pg-add", dropGroup)
		for _, h := range w.hosts[1:] { // the first has no port security
			args = append(args, h.name)
		}
		for _, d := range []flows.Direction{flows.Egress, flows.Ingress} {
			args = append(args, acl{owner: dropGroup, ownerType: "port-group", dir: d, priority: 1001,
				match: portField(d) + " == @" + dropGroup + " && ip", action: "drop"}.add()...)
		}
		for _, ip := range []string{"ip4", "ip6"} { // a new security group permits all that leaves
			args = append(args, w.add(acl{owner: "pg_0", ownerType: "port-group", dir: flows.Egress, priority: 1002,
				match: "inport == @pg_0 && " + ip, action: "allow-related"})...)
		}
	}
	for range 12 {
		args = append(args, w.addACL()...)
	}
	return args
}

// change returns the commands of some random changes; they begin with "--".
func (w *world) change() (args []string) {
	for range 1 + w.rand.IntN(3) {
		switch w.rand.IntN(8) {
		case 0:
			args = append(args, w.renumber(pick(w.rand, w.hosts...))...)
		case 1:
			args = append(args, w.regroup(pick(w.rand, w.groups()...))...)
		case 2:
			args = append(args, w.refill(w.rand.IntN(2), pick(w.rand, "4", "6"))...)
		case 3, 4:
			args = append(args, w.delACL()...)
		default:
			args = append(args, w.addACL()...)
		}
	}
	return args
}

func (w *world) renumber(h *host) []string {
	for taken := true; taken; {
		h.ip = [2]netip.Addr{netip.MustParseAddr(w.address("4")), netip.MustParseAddr(w.address("6"))}
		taken = slices.ContainsFunc(w.hosts, func(o *host) bool { return o != h && (o.ip[0] == h.ip[0] || o.ip[1] == h.ip[1]) })
	}
	addresses := fmt.Sprintf("%s %s %s", h.mac, h.ip[0], h.ip[1])
	args := []string{"--", "lsp-set-addresses", h.name, addresses}
	if w.style.neutron && h != w.hosts[0] {
		args = append(args, "--", "lsp-set-port-security", h.name, addresses)
	}
	return args
}

func (w *world) regroup(group string) []string {
	args := []string{"--", "pg-set-ports", group}
	for i, h := range w.hosts {
		if w.rand.IntN(2) == 0 && (i > 0 || !w.style.neutron) {
			args = append(args, h.name)
		}
	}
	if w.members[group] = args[3:]; len(args) == 3 {
		return []string{"--", "clear", "Port_Group", group, "ports"}
	}
	return args
}

func (w *world) refill(i int, family string) []string {
	var addrs []string
	for range w.rand.IntN(3) {
		addrs = append(addrs, `"`+pick(w.rand, w.address(family), w.prefix(family))+`"`)
	}
	slices.Sort(addrs)
	addrs = slices.Compact(addrs)
	return []string{"--", "set", "Address_Set", fmt.Sprintf("ag%d_ip%s", i, family), "addresses=[" + strings.Join(addrs, ",") + "]"}
}

func (w *world) delACL() []string {
	if len(w.acls) < 4 {
		return nil
	}
	i := w.rand.IntN(len(w.acls))
	gone := w.acls[i]
	w.acls = slices.Delete(w.acls, i, i+1)
	return gone.del()
}

func (w *world) addACL() []string { return w.add(w.randomACL()) }

func (w *world) add(a acl) []string {
	if slices.ContainsFunc(w.acls, a.likens) {
		return nil
	}
	w.acls = append(w.acls, a)
	return a.add()
}

// likens reports whether the database takes two ACLs for one.
func (a acl) likens(b acl) bool {
	return a.owner == b.owner && a.dir == b.dir && a.tier == b.tier && a.priority == b.priority && a.match == b.match
}

func (w *world) randomACL() acl {
	a := acl{owner: pick(w.rand, w.groups()...), ownerType: "port-group", dir: flows.Direction(w.rand.IntN(2)), priority: 1002}
	if w.style.neutron {
		a.match, a.action = w.neutronMatch(a.owner, a.dir), "allow-related"
		if a.owner == w.groups()[2] {
			a.action = "allow-stateless"
		}
		return a
	}
	if w.rand.IntN(3) == 0 {
		a.owner, a.ownerType = pick(w.rand, "sw0", "sw1"), "switch"
	}
	if w.style.exotic && w.rand.IntN(4) == 0 {
		a.match, a.exotic = w.exoticMatch(a), true
	} else {
		a.match = w.handMatch(a)
	}
	// What happens where rules of one priority contradict each other is not defined: the
	// last digit of a priority keeps them apart.
	kind := w.rand.IntN(8)
	a.priority = 10*(1+w.rand.IntN(4)) + map[bool]int{true: 1, false: 2}[kind < 4]
	a.action = []string{"allow", "allow-related", "allow-related", "allow-related", "drop", "drop", "drop", "reject"}[kind]
	switch {
	case w.rand.IntN(6) == 0:
		a.action, a.priority = "allow-stateless", a.priority/10*10+3
	case w.style.tiers && w.rand.IntN(6) == 0:
		a.action, a.priority = "pass", a.priority/10*10+4
	}
	if w.style.tiers {
		a.tier = w.rand.IntN(4)
	}
	return a
}

// address is one of those that hosts and matches share.
func (w *world) address(family string) string {
	if family == "4" {
		return fmt.Sprintf("10.0.%d.%d", w.rand.IntN(2), 1+w.rand.IntN(7))
	}
	return fmt.Sprintf("fd00::%d:%d", w.rand.IntN(2), 1+w.rand.IntN(7))
}

func (w *world) prefix(family string) string {
	if family == "4" {
		return pick(w.rand, "0.0.0.0/0", "10.0.0.0/24", "10.0.1.0/24", "10.0.0.0/30", "10.0.0.4/30", "10.0.0.0/16", "10.0.1.4/31")
	}
	return pick(w.rand, "::/0", "fd00::/112", "fd00::1:0/112", "fd00::/126", "fd00::1:4/127", "fd00::/16")
}

func (w *world) port() uint16 { return pick[uint16](w.rand, 22, 80, 81, 100, 443, 5432, 65535) }

func (w *world) icmpType(family string) int {
	if family == "4" {
		return pick(w.rand, 0, 3, 8)
	}
	return pick(w.rand, 1, 128, 129) // neighbour discovery is always permitted, and no connection
}

// packet is a random one between two ports of a switch, mostly with their own addresses.
func (w *world) packet() packet {
	p := packet{from: pick(w.rand, w.hosts...)}
	for p.to = p.from; p.to == p.from || p.to.sw != p.from.sw; {
		p.to = pick(w.rand, w.hosts...)
	}
	f := w.rand.IntN(2)
	p.tuple = flows.Tuple{Src: p.from.ip[f], Dst: p.to.ip[f], Proto: pick(w.rand, flows.TCP, flows.TCP, flows.UDP, flows.SCTP, flows.GRE, flows.ICMP, flows.ESP)}
	if w.rand.IntN(4) == 0 {
		p.tuple.Src = netip.MustParseAddr(w.address([]string{"4", "6"}[f]))
	}
	switch {
	case p.tuple.Proto == flows.ICMP:
		p.tuple.Proto = []flows.Proto{flows.ICMP, flows.ICMPv6}[f]
		p.tuple.SrcPort, p.tuple.DstPort = 7, uint16(w.icmpType([]string{"4", "6"}[f])<<8|w.rand.IntN(2))
	case withPorts[p.tuple.Proto] != "":
		p.tuple.SrcPort, p.tuple.DstPort = pick(w.rand, w.port(), 40000), w.port()
	}
	return p
}

// String lists the ACLs.
func (w *world) String() string {
	var b strings.Builder
	for g, members := range w.members {
		fmt.Fprintf(&b, "%s: %s\n", g, strings.Join(members, " "))
	}
	for _, a := range w.acls {
		fmt.Fprintf(&b, "%s %s tier %d %d %s: %s\n", a.owner, a.pipeline(), a.tier, a.priority, a.action, a.match)
	}
	return b.String()
}

// free reports whether a host is in no port group that an ACL is about, so that it can be
// that none matches anything that it sends or receives, and conntrack is of no use there.
func (w *world) free(h *host) bool {
	return w != nil && !slices.ContainsFunc(w.acls, func(a acl) bool {
		for g, members := range w.members {
			if slices.Contains(members, h.name) && (a.owner == g || strings.Contains(a.match, "@"+g)) {
				return true
			}
		}
		return false
	})
}
