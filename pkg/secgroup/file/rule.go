package file

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// rule is one of a group's security_group_rules.
type rule struct {
	id           string
	direction    flows.Direction
	match        secgroup.Match // without the sets
	remoteGroup  string
	addressGroup string
}

func readRule(n *node, groupID string) (r rule, err error) {
	o, err := asObject(n)
	if err != nil {
		return r, err
	}
	if r.id, err = o.id("id"); err != nil {
		return r, err
	}
	of, err := o.value("security_group_id")
	if err != nil {
		return r, err
	}
	if of != "" && of != groupID {
		return r, in("security_group_id", wrong(o.get("security_group_id"), "it is of another group, %q", bounded(of)))
	}
	for _, read := range []func(object) error{
		r.readDirection, r.readEthertype, r.readProtocol, r.readPorts, r.readRemote,
	} {
		if err := read(o); err != nil {
			return r, err
		}
	}
	return r, nil
}

func (r *rule) readDirection(o object) error {
	s, err := o.id("direction")
	switch {
	case err != nil:
		return err
	case s == "egress":
		r.direction = flows.Egress
	case s == "ingress":
		r.direction = flows.Ingress
	default:
		return in("direction", wrong(o.get("direction"), "ingress or egress is expected, not %q", bounded(s)))
	}
	return nil
}

// readEthertype takes IPv4 where there is none, as Neutron's API does.
func (r *rule) readEthertype(o object) error {
	s, err := o.value("ethertype")
	switch {
	case err != nil:
		return err
	case s == "" || strings.EqualFold(s, "IPv4"):
		r.match.Family = secgroup.IPv4
	case strings.EqualFold(s, "IPv6"):
		r.match.Family = secgroup.IPv6
	default:
		return in("ethertype", wrong(o.get("ethertype"), "IPv4 or IPv6 is expected, not %q", bounded(s)))
	}
	return nil
}

// readProtocol reads what Neutron reads: "icmp", and 1, of IPv6 is ICMPv6. "any" is in the
// API's reference; older servers know null only.
func (r *rule) readProtocol(o object) error {
	s, err := o.value("protocol")
	if err != nil || s == "" || strings.EqualFold(s, "any") {
		return err
	}
	p, ok := parseProtocol(s)
	if !ok {
		return in("protocol", wrong(o.get("protocol"), "a protocol's name or a number from 0 to 255 is expected, not %q", bounded(s)))
	}
	six := r.match.Family == secgroup.IPv6
	if six && p == flows.ICMP {
		p = flows.ICMPv6
	}
	if !six && onlyIPv6(p) {
		return in("protocol", wrong(o.get("protocol"), "%q is of IPv6, and the ethertype is IPv4", bounded(s)))
	}
	r.match.Proto, r.match.HasProto = p, true
	return nil
}

// readPorts reads a range of destination ports, or an ICMP type (min) and code (max).
func (r *rule) readPorts(o object) error {
	first, hasFirst, err := number(o, "port_range_min")
	if err != nil {
		return err
	}
	last, hasLast, err := number(o, "port_range_max")
	if err != nil || !hasFirst && !hasLast {
		return err
	}
	m := &r.match
	bad := func(format string, args ...any) error {
		field := "port_range_min"
		if !hasFirst {
			field = "port_range_max"
		}
		return in(field, wrong(o.get(field), format, args...))
	}
	switch {
	case !m.HasProto:
		return bad("a range of ports needs a protocol")
	case m.Proto == flows.ICMP || m.Proto == flows.ICMPv6:
		if first > 255 || last > 255 || !hasFirst {
			return bad("type and code of ICMP are from 0 to 255, and a code needs a type")
		}
		m.SrcPorts = secgroup.PortRange{First: first, Last: first, Some: true}
		m.DstPorts = secgroup.PortRange{First: last, Last: last, Some: hasLast}
	case !takesPorts(m.Proto):
		return bad("%v has no ports", m.Proto)
	case first == 0 || last < first:
		return bad("a range of ports is two numbers from 1 to 65535, the smaller one first")
	default:
		m.DstPorts = secgroup.PortRange{First: first, Last: last, Some: true}
	}
	return nil
}

func number(o object, field string) (n uint16, some bool, err error) {
	s, err := o.value(field)
	if err != nil || s == "" {
		return 0, false, err
	}
	v, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0, false, in(field, wrong(o.get(field), "a number from 0 to 65535 is expected, not %q", bounded(s)))
	}
	return uint16(v), true, nil
}

// readRemote reads who the other end may be: at most one of the three fields says so.
func (r *rule) readRemote(o object) (err error) {
	cidr, err := o.value("remote_ip_prefix")
	if err != nil {
		return err
	}
	if r.remoteGroup, err = o.value("remote_group_id"); err != nil {
		return err
	}
	if r.addressGroup, err = o.value("remote_address_group_id"); err != nil {
		return err
	}
	several := cidr != "" && r.remoteGroup != "" || cidr != "" && r.addressGroup != "" || r.remoteGroup != "" && r.addressGroup != ""
	if several {
		return wrong(o.node, "only one of remote_ip_prefix, remote_group_id and remote_address_group_id may be there")
	}
	if cidr == "" {
		return nil
	}
	prefix, err := parsePrefix(cidr)
	if err != nil {
		return in("remote_ip_prefix", wrong(o.get("remote_ip_prefix"), "%v", err))
	}
	if prefix.Addr().Is4() != (r.match.Family == secgroup.IPv4) {
		return in("remote_ip_prefix", wrong(o.get("remote_ip_prefix"), "it is not of the rule's ethertype"))
	}
	r.match.Remote.Prefixes = []netip.Prefix{prefix}
	return nil
}
