package ovn_test

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
)

// acl is a row of the Northbound database.
type acl struct {
	owner, ownerType string // a port group or a switch: "port-group", "switch"
	dir              flows.Direction
	tier, priority   int
	match, action    string
	exotic           bool // its match says more than a rule can: nobody needs to understand it
}

func (a acl) add() []string {
	args := []string{"--", "--type=" + a.ownerType}
	if a.tier > 0 {
		args = append(args, fmt.Sprintf("--tier=%d", a.tier))
	}
	return append(args, "acl-add", a.owner, a.pipeline(), fmt.Sprint(a.priority), a.match, a.action)
}

func (a acl) del() []string {
	args := []string{"--", "--type=" + a.ownerType}
	if a.tier > 0 {
		args = append(args, fmt.Sprintf("--tier=%d", a.tier))
	}
	return append(args, "acl-del", a.owner, a.pipeline(), fmt.Sprint(a.priority), a.match)
}

func (a acl) pipeline() string { return [...]string{"from-lport", "to-lport"}[a.dir] }

// port is the field that says which port an ACL of a direction is about; local and remote
// are the two ends of addresses.
func portField(d flows.Direction) string { return [...]string{"inport", "outport"}[d] }
func remoteEnd(d flows.Direction) string { return [...]string{"dst", "src"}[d] }

// pick returns one of its arguments.
func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// neutronMatch is the match of a rule as ML2/OVN writes it (neutron/common/ovn/acl.py).
func (w *world) neutronMatch(group string, d flows.Direction) string {
	ip, icmp := pick(w.rand, [2]string{"ip4", "icmp4"}, [2]string{"ip6", "icmp6"}), ""
	terms := []string{portField(d) + " == @" + group, ip[0]}
	icmp = ip[1]
	end := ip[0] + "." + remoteEnd(d)
	family := strings.TrimPrefix(ip[0], "ip")
	switch w.rand.IntN(4) {
	case 0:
		terms = append(terms, end+" == "+w.prefix(family))
	case 1:
		terms = append(terms, fmt.Sprintf("%s == $%s_ip%s", end, pick(w.rand, w.groups()...), family))
	case 2:
		terms = append(terms, fmt.Sprintf("%s == $ag%d_ip%s", end, w.rand.IntN(2), family))
	}
	l4 := pick(w.rand, "tcp", "udp", "sctp")
	switch w.rand.IntN(9) {
	case 0:
		terms = append(terms, l4)
	case 1:
		terms = append(terms, l4, fmt.Sprintf("%s.dst == %d", l4, w.port()))
	case 2:
		terms = append(terms, l4, fmt.Sprintf("%s.dst >= %d && %s.dst <= %d", l4, 1+w.rand.IntN(100), l4, 100+w.rand.IntN(400)))
	case 3:
		terms = append(terms, icmp)
	case 4:
		terms = append(terms, icmp, fmt.Sprintf("%s.type == %d", icmp, w.icmpType(family)))
	case 5:
		terms = append(terms, icmp, fmt.Sprintf("%s.type == %d && %s.code == %d", icmp, w.icmpType(family), icmp, w.rand.IntN(2)))
	case 6:
		terms = append(terms, fmt.Sprintf("ip.proto == %d", pick(w.rand, 47, 50, 2)))
	}
	return strings.Join(terms, " && ")
}

// handMatch is a match as people write them: a port term and conditions of any shape.
func (w *world) handMatch(owner acl) string {
	terms := []string{}
	if port := w.portTerm(owner); port != "" {
		terms = append(terms, port)
	}
	for range pick(w.rand, 1, 1, 2) {
		terms = append(terms, w.condition(owner.dir, 2))
	}
	w.rand.Shuffle(len(terms), func(i, j int) { terms[i], terms[j] = terms[j], terms[i] })
	return strings.Join(terms, " && ")
}

// portTerm says at which ports an ACL holds; one of a switch may leave that open.
func (w *world) portTerm(a acl) string {
	field, group := portField(a.dir), "@"+a.owner
	name := func() string { return fmt.Sprintf("%q", pick(w.rand, w.hosts...).name) }
	if a.ownerType == "switch" {
		group = "@" + pick(w.rand, w.groups()...)
		if w.rand.IntN(3) == 0 {
			return ""
		}
	}
	switch w.rand.IntN(8) {
	case 0:
		return field + " == " + name()
	case 1:
		return fmt.Sprintf("%s == {%s, %s}", field, name(), name())
	case 2:
		return fmt.Sprintf("(%s == %s || %s == %s)", field, name(), field, group)
	}
	return field + " == " + group
}

// condition is a condition on addresses, protocol and ports.
func (w *world) condition(d flows.Direction, depth int) string {
	if depth > 0 {
		switch w.rand.IntN(8) {
		case 0, 1:
			return "(" + w.condition(d, depth-1) + " || " + w.condition(d, depth-1) + ")"
		case 2:
			return "(" + w.condition(d, depth-1) + " && " + w.condition(d, depth-1) + ")"
		case 3:
			return "!(" + w.ordinal() + pick(w.rand, " || ", " && ") + w.ordinal() + ")"
		}
	}
	if w.rand.IntN(2) == 0 {
		return w.nominal()
	}
	return w.ordinal()
}

// nominal is a condition on a field that OVN refuses to compare for anything but equality.
func (w *world) nominal() string {
	return pick(w.rand, "ip4", "ip6", "ip", "tcp", "udp", "icmp", "icmp4", "icmp6", "sctp", "1", "eth.type == 0x800", "ip.proto == 6",
		"ip.proto == {6, 17}", "ip.proto == 47", fmt.Sprintf("icmp4.type == %d", w.icmpType("4")), fmt.Sprintf("icmp6.type == %d", w.icmpType("6")))
}

func (w *world) ordinal() string {
	if w.rand.IntN(2) == 0 {
		return w.addressCondition()
	}
	return w.portCondition()
}

func (w *world) addressCondition() string {
	family := pick(w.rand, "4", "6")
	field := "ip" + family + "." + pick(w.rand, "src", "dst")
	op := pick(w.rand, "==", "==", "==", "!=")
	set := pick(w.rand, fmt.Sprintf("$ag%d_ip%s", w.rand.IntN(2), family), fmt.Sprintf("$%s_ip%s", pick(w.rand, w.groups()...), family))
	switch w.rand.IntN(6) {
	case 0:
		return fmt.Sprintf("%s %s %s", field, op, set)
	case 1:
		return fmt.Sprintf("%s %s {%s, %s}", field, op, w.address(family), w.prefix(family))
	case 2:
		return fmt.Sprintf("%s %s {%s, %s}", field, op, set, w.address(family))
	case 3:
		return fmt.Sprintf("%s %s %s", field, op, w.address(family))
	case 4:
		return fmt.Sprintf("%s %s %s", w.address(family), op, field) // either side
	}
	return fmt.Sprintf("%s %s %s", field, op, w.prefix(family))
}

func (w *world) portCondition() string {
	field := pick(w.rand, "tcp", "udp", "sctp") + "." + pick(w.rand, "dst", "dst", "src")
	a, b := w.port(), w.port()
	switch w.rand.IntN(7) {
	case 0:
		return fmt.Sprintf("%s != %d", field, a)
	case 1:
		return fmt.Sprintf("%s == {%d, %d}", field, a, b)
	case 2:
		return fmt.Sprintf("%s != {%d, %d}", field, a, b)
	case 3:
		return fmt.Sprintf("%s %s %d", field, pick(w.rand, "<", "<=", ">", ">="), a)
	case 4:
		return fmt.Sprintf("%d <= %s <= %d", min(a, b), field, max(a, b))
	case 5:
		return fmt.Sprintf("(%s >= %d && %s <= %d)", field, min(a, b), field, max(a, b))
	}
	return fmt.Sprintf("%s == %d", field, a)
}

// exoticMatch says what no rule of this agent can say, or what OVN itself refuses.
func (w *world) exoticMatch(a acl) string {
	term := pick(w.rand, exotic...)
	return portField(a.dir) + " == @" + pick(w.rand, w.groups()...) + " && " + term
}

var exotic = []string{"eth.src == 02:00:00:00:00:01", "ip.ttl > 1", "ip.dscp == 0", "tcp.flags == 2", "ip.frag", "ip4.src == $absent", "tcp.dst[0..7] == 80",
	"ip4.dst[24..31] == 10", "eth.mcast", "ip4.src < 10.0.0.4", "tcp.dst == 80 || udp.dst == 53 && ip4", "nonsense", "vlan.present",
	"ip4.src == 10.0.0.0/255.0.0.255", "!ip4", "!tcp", "ip.proto != 6", "ip.proto < 18", "!(icmp4.type == 8)", `inport != "h1"`, `outport != "h1"`, `inport == "h2"`,
	"ip4.src == $pg_0_ip6", "ip4.src == {}", "ip6.src == 10.0.0.1", "tcp.dst == $ag0_ip4", "ip.proto == 6 && tcp.src", "arp", "nd", "1 == 1", "0", "!1"}
