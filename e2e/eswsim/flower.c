// SPDX-License-Identifier: GPL-2.0
/* Flower filters: inserted, removed and asked for their counters by tc.
 *
 * tc calls this without rtnl and from many CPUs at once.
 */
#include <linux/delay.h>
#include <linux/random.h>
#include <net/pkt_cls.h>

#include "eswsim.h"

static int esw_refused(struct eswitch *esw, int err)
{
	mutex_lock(&esw->table_lock);
	if (err == -ENOSPC)
		esw->full++;
	else if (err == -EOPNOTSUPP)
		esw->refused++;
	mutex_unlock(&esw->table_lock);
	return err;
}

static struct esw_rule *esw_flower_parse(struct esw_source *source,
					 struct flow_cls_offload *cls,
					 struct esw_fields *mask)
{
	struct esw_rule *rule;
	int err;

	rule = esw_rule_alloc();
	if (!rule)
		return ERR_PTR(-ENOMEM);
	rule->id.source = source;
	rule->id.cookie = cls->cookie;
	err = esw_match_parse(source, cls, &rule->key.fields, mask);
	if (!err)
		err = esw_action_parse(source, cls, rule, mask);
	if (err) {
		esw_rule_free(rule);
		return ERR_PTR(err);
	}
	return rule;
}

/* The faults that a test asked for. */
static int esw_flower_fault(struct eswitch *esw, struct netlink_ext_ack *extack)
{
	int err = 0;

	mutex_lock(&esw->table_lock);
	if (esw->refuse_next[0]) {
		esw_say(extack, "%s", esw->refuse_next);
		esw->refuse_next[0] = 0;
		err = -EOPNOTSUPP;
	} else if (get_random_u32() % 1000 < READ_ONCE(esw->refuse_permille)) {
		esw_say(extack, "refused at random");
		err = -EOPNOTSUPP;
	}
	mutex_unlock(&esw->table_lock);
	return err;
}

/* The command to the firmware: others wait until it is done. */
static int esw_flower_insert(struct eswitch *esw, struct esw_rule *rule,
			     const struct esw_fields *mask,
			     struct flow_cls_common_offload *common)
{
	u32 us, capacity;
	int err;

	mutex_lock(&esw->cmd_lock);
	us = min(READ_ONCE(esw->insert_us), ESW_MAX_INSERT_US);
	if (us)
		usleep_range(us, us + us / 8 + 1);
	mutex_lock(&esw->table_lock);
	capacity = READ_ONCE(esw->capacity);
	if (capacity && esw->nr_rules >= capacity) {
		esw_say(common->extack, "table is full (%u rules)", esw->nr_rules);
		err = -ENOSPC;
	} else {
		err = esw_table_insert(esw, rule, common->prio, mask);
		if (err)
			esw_say(common->extack, "cannot insert: error %d", err);
	}
	mutex_unlock(&esw->table_lock);
	mutex_unlock(&esw->cmd_lock);
	return err;
}

/* Rules of an upper are the first uplink's to carry. */
static bool esw_flower_can(struct esw_source *source,
			   struct flow_cls_common_offload *common)
{
	struct esw_port *port = source->port ?: &source->esw->ports[0];
	struct net_device *rep;
	bool can;

	rcu_read_lock();
	rep = rcu_dereference(port->rep);
	can = rep && tc_cls_can_offload_and_chain0(rep, common);
	rcu_read_unlock();
	return can;
}

static int esw_flower_replace(struct esw_source *source,
			      struct flow_cls_offload *cls)
{
	struct eswitch *esw = source->esw;
	struct esw_fields mask;
	struct esw_rule *rule;
	int err;

	if (!esw_flower_can(source, &cls->common))
		return esw_refused(esw, -EOPNOTSUPP);
	rule = esw_flower_parse(source, cls, &mask);
	if (IS_ERR(rule))
		return esw_refused(esw, PTR_ERR(rule));
	err = esw_flower_fault(esw, cls->common.extack);
	if (!err)
		err = esw_flower_insert(esw, rule, &mask, &cls->common);
	if (err) {
		esw_rule_free(rule);
		esw_refused(esw, err);
	}
	return err;
}

/* An unknown rule is one that a reset has lost: there is nothing to do. */
static int esw_flower_destroy(struct esw_source *source,
			      struct flow_cls_offload *cls)
{
	struct eswitch *esw = source->esw;
	struct esw_rule *rule;

	mutex_lock(&esw->cmd_lock);
	mutex_lock(&esw->table_lock);
	rule = esw_table_find(source, cls->cookie);
	if (rule) {
		esw_table_remove(esw, rule);
		esw->dels++;
	}
	mutex_unlock(&esw->table_lock);
	mutex_unlock(&esw->cmd_lock);
	return 0;
}

/* Answered from what was polled, with no command to the firmware. */
static int esw_flower_stats(struct esw_source *source,
			    struct flow_cls_offload *cls)
{
	struct eswitch *esw = source->esw;
	struct esw_rule *rule;

	mutex_lock(&esw->table_lock);
	rule = esw_table_find(source, cls->cookie);
	if (rule) {
		if (!READ_ONCE(esw->stats_delay_ms))
			rule->seen = esw_rule_count(rule);
		flow_stats_update(&cls->stats,
				  rule->seen.bytes - rule->told.bytes,
				  rule->seen.packets - rule->told.packets, 0,
				  rule->seen.used, FLOW_ACTION_HW_STATS_DELAYED);
		rule->told = rule->seen;
	}
	mutex_unlock(&esw->table_lock);
	return 0;
}

/* The callback of a block; its private data is the source of its rules. */
int esw_flower(enum tc_setup_type type, void *data, void *source)
{
	struct flow_cls_offload *cls = data;

	if (type != TC_SETUP_CLSFLOWER)
		return -EOPNOTSUPP;
	switch (cls->command) {
	case FLOW_CLS_REPLACE:
		return esw_flower_replace(source, cls);
	case FLOW_CLS_DESTROY:
		return esw_flower_destroy(source, cls);
	case FLOW_CLS_STATS:
		return esw_flower_stats(source, cls);
	default:
		return -EOPNOTSUPP;
	}
}

int esw_flower_block(struct esw_port *port, struct flow_block_offload *f)
{
	f->unlocked_driver_cb = true;
	return flow_block_cb_setup_simple(f, &port->block_cbs, esw_flower,
					  &port->source, &port->source, true);
}
