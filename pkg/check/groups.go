package check

import (
	"cmp"
	"context"
	"fmt"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/ovsdb"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
	"github.com/flowshunt/flowshunt/pkg/secgroup/ovn"
)

// guarded says whether it is known what the security groups of ports (iface-id) permit: on a
// node of OVN its Southbound database is asked, as an agent does.
func guarded(ctx context.Context, n *node) []Line {
	const name = "security groups"
	if lines, undone := n.undone(name); undone {
		return lines
	}
	var with []*ovsdb.Port
	for i := range n.Ports {
		if n.Ports[i].IfaceID != "" {
			with = append(with, &n.Ports[i])
		}
	}
	have := plural(len(with), "port has them", "ports have them")
	switch {
	case len(with) == 0 && n.Switch.OVNRemote == "":
		return []Line{ok(name, "no port has any (iface-id)")}
	case n.Switch.OVNRemote == "":
		return []Line{warning(name, "%s (iface-id), and Open vSwitch names no Southbound database of OVN", have).
			why("nothing tells what they permit, so these ports are left out").
			fix("flowshuntd --security-groups=file:PATH # what Neutron's REST API says of them",
				"flowshuntd --trust-ovs # by the word of OVS's flows alone").detail(names(with))}
	}
	table, err := southbound(ctx, n)
	if err != nil {
		return []Line{warning(name, "%s: OVN's Southbound database is not read (%s)", have, oneLine(err.Error())).
			why("ports with security groups are left out, and what is offloaded there leaves after --policy-grace").
			fix("ovn-sbctl --db="+n.Switch.OVNRemote+" show", "ovs-vsctl get open_vswitch . external_ids ssl")}
	}
	size := table.Size()
	found := fmt.Sprintf("%s; OVN's Southbound database has %d rules for %s here", have, size.Rules, plural(size.Ports, "port", "ports"))
	left, all := leftOut(with, table)
	if len(left) > 0 {
		return []Line{warning(name, "%s; left out: %s", found, some(left)).
			why("it is not known, or not settled, what passes there").detail(all)}
	}
	return []Line{ok(name, "%s", found).detail(all)}
}

// southbound reads OVN's Southbound database once.
func southbound(ctx context.Context, n *node) (*secgroup.Table, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	source, err := ovn.NewSouthbound(ovn.Config{Remotes: n.Switch.OVNRemote, TLS: n.Switch.TLS, Chassis: n.Switch.SystemID})
	if err != nil {
		return nil, err
	}
	var table *secgroup.Table
	told := fmt.Errorf("no answer within %v", patience)
	_ = source.Run(ctx, func(news secgroup.News) {
		switch {
		case table != nil:
		case news.Update != nil:
			table, _ = secgroup.NewCompiler().Apply(news.Update)
			cancel()
		case news.Err != nil && ctx.Err() == nil:
			told = news.Err
			cancel()
		}
	})
	if table == nil {
		return nil, told
	}
	return table, nil
}

// leftOut returns the ports on which nothing may be offloaded whatever the rules say, and
// all ports, each with what is said of it.
func leftOut(ports []*ovsdb.Port, table *secgroup.Table) (left, all []string) {
	for _, p := range ports {
		reason, detail := table.Standing(flows.LogicalPort(p.IfaceID))
		if reason == "" && !p.OVNInstalled {
			reason, detail = flows.PortUnbound, "ovn-controller has not installed its flows for it (external_ids:ovn-installed)"
		}
		if reason != "" {
			left = append(left, fmt.Sprintf("%s (%s)", p.Name, reason))
		}
		all = append(all, fmt.Sprintf("%s, %s: %s", p.Name, p.IfaceID, cmp.Or(detail, "known")))
	}
	return left, all
}

func names(ports []*ovsdb.Port) (list []string) {
	for _, p := range ports {
		list = append(list, p.Name)
	}
	return list
}
