// SPDX-License-Identifier: GPL-2.0
/* Where rules send packets: ports, and bonds whose members are uplinks. */
#include <net/bonding.h>

#include "eswsim.h"

static int esw_is_uplink(struct net_device *dev, struct netdev_nested_priv *priv)
{
	return esw_port_of_uplink(priv->data, dev) ? 1 : 0;
}

/* Whether a device is a bond with an uplink of ours in it. */
bool esw_bond_is_ours(struct eswitch *esw, struct net_device *dev)
{
	struct netdev_nested_priv priv = { .data = esw };
	bool ours;

	if (!netif_is_bond_master(dev))
		return false;
	rcu_read_lock();
	ours = netdev_walk_all_lower_dev_rcu(dev, esw_is_uplink, &priv);
	rcu_read_unlock();
	return ours;
}

int esw_target_parse(struct eswitch *esw, struct net_device *dev,
		     struct esw_target *target, struct netlink_ext_ack *extack)
{
	struct esw_port *port = esw_port_of_rep(dev);
	int mode;

	target->port = NULL;
	target->bond = 0;
	if (port && port->esw == esw) {
		target->port = port;
		return 0;
	}
	if (!dev || !esw_bond_is_ours(esw, dev)) {
		esw_say(extack, "cannot forward to %s, no port of eswitch %s",
			dev ? dev->name : "nothing", esw->name);
		return -EOPNOTSUPP;
	}
	mode = BOND_MODE((struct bonding *)netdev_priv(dev));
	if (mode != BOND_MODE_ACTIVEBACKUP && mode != BOND_MODE_8023AD &&
	    mode != BOND_MODE_XOR) {
		esw_say(extack, "cannot forward to bond %s of mode %d", dev->name,
			mode);
		return -EOPNOTSUPP;
	}
	target->bond = dev->ifindex;
	return 0;
}

/* The port that a packet leaves by, NULL if there is none now. The bond itself is
 * asked which member sends; a driver is told, and programs that.
 */
struct esw_port *esw_target_port(struct eswitch *esw, struct sk_buff *skb,
				 const struct esw_target *target)
{
	struct net_device *bond, *member;

	if (target->port)
		return target->port;
	bond = dev_get_by_index_rcu(esw->net, target->bond);
	if (!bond || !netif_is_bond_master(bond))
		return NULL;
	member = netdev_get_xmit_slave(bond, skb, false);
	return member ? esw_port_of_uplink(esw, member) : NULL;
}
