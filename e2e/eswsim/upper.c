// SPDX-License-Identifier: GPL-2.0
/* Tunnels and bonds of the host: tc offers the blocks of all net devices that have
 * no driver for them, and we take those of ours.
 */
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <net/pkt_cls.h>

#include "eswsim.h"

const struct esw_upper *esw_upper_of(const struct esw_source *source)
{
	return source->port ? NULL : container_of(source, struct esw_upper, source);
}

/* The end of a block: tc has taken its rules away. */
static void esw_upper_release(void *source)
{
	struct esw_upper *upper = container_of((struct esw_source *)source,
					       struct esw_upper, source);
	struct eswitch *esw = upper->source.esw;

	mutex_lock(&esw->table_lock);
	esw_table_forget(esw, &upper->source);
	list_del_rcu(&upper->list);
	mutex_unlock(&esw->table_lock);
	kfree_rcu(upper, rcu);
}

static struct esw_upper *esw_upper_alloc(struct eswitch *esw,
					 struct net_device *dev)
{
	struct esw_tunnel tunnel = {};
	struct esw_upper *upper;
	int err;

	if (!net_eq(dev_net(dev), esw->net) || !esw->ports[0].uplink)
		return ERR_PTR(-EOPNOTSUPP);
	if (!esw_bond_is_ours(esw, dev)) {
		err = esw_tunnel_of(dev, &tunnel);
		if (err)
			return ERR_PTR(err);
	}
	upper = kzalloc(sizeof(*upper), GFP_KERNEL);
	if (!upper)
		return ERR_PTR(-ENOMEM);
	upper->source.esw = esw;
	INIT_LIST_HEAD(&upper->source.tiers);
	upper->dev = dev;
	upper->tunnel = tunnel;
	return upper;
}

static struct esw_upper *esw_upper_find(struct eswitch *esw,
					const struct net_device *dev)
{
	struct esw_upper *upper, *found = NULL;

	mutex_lock(&esw->table_lock);
	list_for_each_entry(upper, &esw->uppers, list)
		if (upper->dev == dev)
			found = upper;
	mutex_unlock(&esw->table_lock);
	return found;
}

static int esw_upper_bind(struct eswitch *esw, struct net_device *dev,
			  struct Qdisc *sch, struct flow_block_offload *f,
			  void *data, void (*cleanup)(struct flow_block_cb *))
{
	struct flow_block_cb *block_cb;
	struct esw_upper *upper;

	if (esw_upper_find(esw, dev))
		return -EBUSY;
	upper = esw_upper_alloc(esw, dev);
	if (IS_ERR(upper))
		return PTR_ERR(upper);
	block_cb = flow_indr_block_cb_alloc(esw_flower, &upper->source,
					    &upper->source, esw_upper_release, f,
					    dev, sch, data, esw, cleanup);
	if (IS_ERR(block_cb)) {
		kfree(upper);
		return PTR_ERR(block_cb);
	}
	mutex_lock(&esw->table_lock);
	list_add_tail_rcu(&upper->list, &esw->uppers);
	mutex_unlock(&esw->table_lock);
	flow_block_cb_add(block_cb, f);
	list_add_tail(&block_cb->driver_list, &esw->upper_cbs);
	return 0;
}

static int esw_upper_unbind(struct eswitch *esw, struct net_device *dev,
			    struct flow_block_offload *f)
{
	struct esw_upper *upper = esw_upper_find(esw, dev);
	struct flow_block_cb *block_cb;

	if (!upper)
		return -ENOENT;
	block_cb = flow_block_cb_lookup(f->block, esw_flower, &upper->source);
	if (!block_cb)
		return -ENOENT;
	flow_indr_block_cb_remove(block_cb, f);
	list_del(&block_cb->driver_list);
	return 0;
}

/* Called for every net device without a driver, of every namespace. */
static int esw_upper_setup(struct net_device *dev, struct Qdisc *sch, void *esw,
			   enum tc_setup_type type, void *type_data, void *data,
			   void (*cleanup)(struct flow_block_cb *block_cb))
{
	struct flow_block_offload *f = type_data;
	int err;

	if (!dev || type != TC_SETUP_BLOCK ||
	    f->binder_type != FLOW_BLOCK_BINDER_TYPE_CLSACT_INGRESS)
		return -EOPNOTSUPP;
	switch (f->command) {
	case FLOW_BLOCK_BIND:
		err = esw_upper_bind(esw, dev, sch, f, data, cleanup);
		break;
	case FLOW_BLOCK_UNBIND:
		err = esw_upper_unbind(esw, dev, f);
		break;
	default:
		err = -EOPNOTSUPP;
	}
	if (!err)
		f->unlocked_driver_cb = true;
	return err;
}

int esw_uppers_register(struct eswitch *esw)
{
	return flow_indr_dev_register(esw_upper_setup, esw);
}

void esw_uppers_unregister(struct eswitch *esw)
{
	flow_indr_dev_unregister(esw_upper_setup, esw, esw_upper_release);
}

/* The rule for a packet that has come out of a tunnel; NULL also for others. */
struct esw_rule *esw_upper_lookup_tunnel(struct eswitch *esw, struct sk_buff *skb)
{
	struct esw_fields fields;
	struct esw_upper *upper;
	unsigned int outer;

	list_for_each_entry_rcu(upper, &esw->uppers, list) {
		if (!upper->tunnel.kind)
			continue;
		outer = esw_tunnel_parse(skb, &upper->tunnel, &fields);
		if (outer)
			return esw_match_inner(skb, outer, &fields) ?
			       esw_table_lookup(&upper->source, &fields) : NULL;
	}
	return NULL;
}

/* The rule of the bond that an uplink is in. */
struct esw_rule *esw_upper_lookup_bond(struct esw_port *port,
				       const struct esw_fields *fields)
{
	struct net_device *rep = rcu_dereference(port->rep);
	struct net_device *master;
	struct esw_upper *upper;

	if (!rep || list_empty(&port->esw->uppers))
		return NULL;
	master = netdev_master_upper_dev_get_rcu(rep);
	list_for_each_entry_rcu(upper, &port->esw->uppers, list)
		if (upper->dev == master)
			return esw_table_lookup(&upper->source, fields);
	return NULL;
}
