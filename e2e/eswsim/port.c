// SPDX-License-Identifier: GPL-2.0
/* Ports of an eswitch: their net devices as pairs, their links. */
#include <linux/rtnetlink.h>
#include <linux/slab.h>

#include "eswsim.h"

static void esw_port_init(struct eswitch *esw, const char *name, u32 i,
			  const char *rep, const char *far)
{
	struct esw_port *port = &esw->ports[esw->nr_ports];

	port->esw = esw;
	port->index = esw->nr_ports++;
	port->source.esw = esw;
	port->source.port = port;
	INIT_LIST_HEAD(&port->source.tiers);
	INIT_LIST_HEAD(&port->block_cbs);
	eth_random_addr(port->rep_addr);
	eth_random_addr(port->far_addr);
	snprintf(port->rep_name, IFNAMSIZ, "%s%s%u", name, rep, i);
	snprintf(port->far_name, IFNAMSIZ, "%s%s%u", name, far, i);
}

void esw_ports_init(struct eswitch *esw, const struct esw_shape *shape)
{
	struct esw_port *port;
	u32 i;

	for (i = 0; i < shape->uplinks; i++) {
		port = &esw->ports[esw->nr_ports];
		port->uplink = true;
		port->pf = i % shape->pfs;
		port->number = i;
		esw_port_init(esw, shape->name, i, "p", "w");
	}
	for (i = 0; i < shape->vfs; i++) {
		port = &esw->ports[esw->nr_ports];
		port->pf = i % shape->pfs;
		port->number = i / shape->pfs;
		esw_port_init(esw, shape->name, i, "r", "v");
	}
}

static void esw_carrier(struct net_device *dev, bool on)
{
	if (!dev)
		return;
	if (on)
		netif_carrier_on(dev);
	else
		netif_carrier_off(dev);
}

static bool esw_running(const struct net_device *dev)
{
	return dev && netif_running(dev);
}

/* A representor has a carrier while what it stands for is up, and the other
 * way round, as with a real VF and a cable.
 */
void esw_port_link(struct esw_port *port)
{
	struct net_device *rep = rtnl_dereference(port->rep);
	struct net_device *far = rtnl_dereference(port->far);
	struct esw_port *peer = rtnl_dereference(port->peer);
	struct net_device *other = far;

	if (peer) {
		esw_carrier(far, false);
		other = rtnl_dereference(peer->rep);
	}
	esw_carrier(rep, esw_running(other));
	esw_carrier(other, esw_running(rep));
}

static int esw_port_up(struct esw_port *port, bool far, struct net *net,
		       const char *name)
{
	struct net_device *dev;

	dev = esw_netdev_register(port, far, net, name);
	if (IS_ERR(dev))
		return PTR_ERR(dev);
	if (far)
		rcu_assign_pointer(port->far, dev);
	else
		rcu_assign_pointer(port->rep, dev);
	return 0;
}

/* Packets in flight find no device any more, or one that exists until the
 * grace period within unregister_netdevice_many().
 */
static void esw_port_down(struct esw_port *port, struct list_head *gone)
{
	struct net_device *rep = rtnl_dereference(port->rep);
	struct net_device *far = rtnl_dereference(port->far);

	RCU_INIT_POINTER(port->rep, NULL);
	RCU_INIT_POINTER(port->far, NULL);
	if (rep)
		unregister_netdevice_queue(rep, gone);
	if (far)
		unregister_netdevice_queue(far, gone);
}

static void esw_port_disconnect(struct esw_port *port)
{
	struct esw_port *peer = rtnl_dereference(port->peer);

	if (!peer)
		return;
	RCU_INIT_POINTER(port->peer, NULL);
	RCU_INIT_POINTER(peer->peer, NULL);
	esw_port_link(port);
	esw_port_link(peer);
}

int esw_ports_up(struct eswitch *esw)
{
	int err = 0;
	u32 i;

	rtnl_lock();
	for (i = 0; i < esw->nr_ports && !err; i++) {
		err = esw_port_up(&esw->ports[i], false, esw->net,
				  esw->ports[i].rep_name);
		if (!err)
			err = esw_port_up(&esw->ports[i], true, esw->net,
					  esw->ports[i].far_name);
	}
	rtnl_unlock();
	esw_devlink_netdevs(esw);
	if (err)
		esw_ports_down(esw);
	return err;
}

void esw_ports_down(struct eswitch *esw)
{
	LIST_HEAD(gone);
	u32 i;

	esw_devlink_no_netdevs(esw);
	rtnl_lock();
	for (i = 0; i < esw->nr_ports; i++) {
		esw_port_disconnect(&esw->ports[i]);
		esw_port_down(&esw->ports[i], &gone);
	}
	unregister_netdevice_many(&gone);
	rtnl_unlock();
	/* packets of a peer may still be in here */
	synchronize_net();
}

struct esw_place {
	char name[IFNAMSIZ];
	struct net *net;
};

static void esw_place_of(struct esw_place *place, const struct net_device *dev)
{
	if (!dev)
		return;
	strscpy(place->name, dev->name, IFNAMSIZ);
	place->net = dev_net(dev);
}

/* All net devices go and come again, where they were and with their names. All
 * in one hold of rtnl: a namespace cannot lose its devices, and so not end, in
 * between.
 */
int esw_ports_again(struct eswitch *esw)
{
	struct esw_place *places;
	LIST_HEAD(gone);
	int err = 0;
	u32 i;

	places = kcalloc(2 * esw->nr_ports, sizeof(*places), GFP_KERNEL);
	if (!places)
		return -ENOMEM;
	mutex_lock(&esw->again_lock);
	esw_devlink_no_netdevs(esw);
	rtnl_lock();
	for (i = 0; i < esw->nr_ports; i++) {
		struct esw_port *port = &esw->ports[i];

		esw_place_of(&places[2 * i], rtnl_dereference(port->rep));
		esw_place_of(&places[2 * i + 1], rtnl_dereference(port->far));
		esw_port_down(port, &gone);
	}
	unregister_netdevice_many(&gone);
	for (i = 0; i < 2 * esw->nr_ports; i++) {
		int e;

		if (!places[i].net)
			continue;
		e = esw_port_up(&esw->ports[i / 2], i % 2, places[i].net,
				places[i].name);
		if (e)
			err = e;
	}
	rtnl_unlock();
	esw_devlink_netdevs(esw);
	mutex_unlock(&esw->again_lock);
	kfree(places);
	return err;
}

int esw_port_connect(struct esw_port *a, struct esw_port *b)
{
	if (a == b)
		return -EINVAL;
	rtnl_lock();
	esw_port_disconnect(a);
	esw_port_disconnect(b);
	rcu_assign_pointer(a->peer, b);
	rcu_assign_pointer(b->peer, a);
	esw_port_link(a);
	esw_port_link(b);
	rtnl_unlock();
	return 0;
}
