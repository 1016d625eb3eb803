// SPDX-License-Identifier: GPL-2.0
/* How a tunnel's packets leave the host: by its routes and neighbours as they are
 * at this moment. A driver keeps what it found and follows the changes; here each
 * packet asks, and goes to the slow path while there is no answer.
 */
#include <linux/if_vlan.h>
#include <net/arp.h>
#include <net/ip6_route.h>
#include <net/ipv6_stubs.h>
#include <net/neighbour.h>
#include <net/route.h>

#include "eswsim.h"

static struct dst_entry *esw_route_ipv4(struct net *net,
					const struct esw_encap *encap,
					struct esw_path *path)
{
	struct flowi4 flow = {
		.saddr = encap->src.s6_addr32[0],
		.daddr = encap->dst.s6_addr32[0],
		.flowi4_tos = RT_TOS(encap->tos),
		.flowi4_proto = IPPROTO_UDP,
		.fl4_dport = encap->tunnel.port,
	};
	struct rtable *route = ip_route_output_key(net, &flow);

	if (IS_ERR(route))
		return ERR_CAST(route);
	path->src.s6_addr32[0] = flow.saddr;
	path->ttl = encap->ttl ?: ip4_dst_hoplimit(&route->dst);
	return &route->dst;
}

static struct dst_entry *esw_route_ipv6(struct net *net,
					const struct esw_encap *encap,
					struct esw_path *path)
{
	struct flowi6 flow = {
		.saddr = encap->src,
		.daddr = encap->dst,
		.flowlabel = ip6_make_flowinfo(encap->tos, encap->label),
		.flowi6_proto = IPPROTO_UDP,
		.fl6_dport = encap->tunnel.port,
	};
	struct dst_entry *dst;

	dst = ipv6_stub->ipv6_dst_lookup_flow(net, NULL, &flow, NULL);
	if (IS_ERR(dst))
		return dst;
	path->src = flow.saddr;
	path->ttl = encap->ttl ?: ip6_dst_hoplimit(dst);
	return dst;
}

/* The neighbour is asked for if it is not known, and kept alive if it is. */
static bool esw_neighbour(struct dst_entry *dst, const struct esw_encap *encap,
			  struct esw_path *path)
{
	struct neighbour *n = dst_neigh_lookup(dst, &encap->dst);
	bool known;

	if (!n)
		return false;
	neigh_event_send(n, NULL);
	known = READ_ONCE(n->nud_state) & NUD_VALID;
	if (known)
		neigh_ha_snapshot(path->dst_mac, n, dst->dev);
	neigh_release(n);
	return known;
}

/* A route leaves by an uplink, a bond of uplinks, or a VLAN on either. */
static int esw_route_target(struct eswitch *esw, struct net_device *dev,
			    struct esw_path *path, struct netlink_ext_ack *extack)
{
	ether_addr_copy(path->src_mac, dev->dev_addr);
	if (is_vlan_dev(dev)) {
		path->tag.proto = vlan_dev_vlan_proto(dev);
		path->tag.tci = vlan_dev_vlan_id(dev);
		dev = vlan_dev_real_dev(dev);
	}
	path->target.port = esw_port_of_uplink(esw, dev);
	if (path->target.port)
		return 0;
	if (esw_bond_is_ours(esw, dev)) {
		path->target.bond = dev->ifindex;
		return 0;
	}
	esw_say(extack, "route leaves by %s, no uplink of eswitch %s", dev->name,
		esw->name);
	return -EOPNOTSUPP;
}

static void esw_say_unreachable(struct netlink_ext_ack *extack, const char *what,
				const struct esw_encap *encap)
{
	if (encap->ipv6)
		esw_say(extack, "%s %pI6c", what, &encap->dst);
	else
		esw_say(extack, "%s %pI4", what, &encap->dst);
}

/* Under RCU. */
int esw_underlay_find(struct eswitch *esw, const struct esw_encap *encap,
		      struct esw_path *path, struct netlink_ext_ack *extack)
{
	struct dst_entry *dst;
	int err;

	memset(path, 0, sizeof(*path));
	dst = encap->ipv6 ? esw_route_ipv6(esw->net, encap, path) :
			    esw_route_ipv4(esw->net, encap, path);
	if (IS_ERR(dst)) {
		esw_say_unreachable(extack, "no route to", encap);
		return -EOPNOTSUPP;
	}
	err = esw_route_target(esw, dst->dev, path, extack);
	if (!err && !esw_neighbour(dst, encap, path)) {
		esw_say_unreachable(extack, "no neighbour is known on the way to",
				    encap);
		err = -EOPNOTSUPP;
	}
	dst_release(dst);
	return err;
}
