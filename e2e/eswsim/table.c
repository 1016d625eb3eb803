// SPDX-License-Identifier: GPL-2.0
/* The table of rules: found by packets without a lock, by tc with the table's.
 *
 * A port has a list of tiers, each with a priority and a mask. A packet is
 * masked by one tier after the other and looked up in one hash table, until
 * there is a rule.
 */
#include <linux/slab.h>

#include "eswsim.h"

static struct kmem_cache *rule_cache;

static const struct rhashtable_params by_key_params = {
	.key_offset = offsetof(struct esw_rule, key),
	.key_len = sizeof(struct esw_key),
	.head_offset = offsetof(struct esw_rule, by_key),
	.automatic_shrinking = true,
};

static const struct rhashtable_params by_id_params = {
	.key_offset = offsetof(struct esw_rule, id),
	.key_len = sizeof(struct esw_rule_id),
	.head_offset = offsetof(struct esw_rule, by_id),
	.automatic_shrinking = true,
};

/* Having a constructor keeps the cache apart from others of that size, so that
 * /proc/slabinfo shows what is ours.
 */
static void esw_rule_construct(void *rule)
{
}

int esw_table_module_init(void)
{
	rule_cache = kmem_cache_create("eswsim_rule",
				       struct_size((struct esw_rule *)0, cpu,
						   nr_cpu_ids),
				       __alignof__(struct esw_cpu_count), 0,
				       esw_rule_construct);
	return rule_cache ? 0 : -ENOMEM;
}

void esw_table_module_exit(void)
{
	rcu_barrier();
	kmem_cache_destroy(rule_cache);
}

struct esw_rule *esw_rule_alloc(void)
{
	struct esw_rule *rule = kmem_cache_alloc(rule_cache, GFP_KERNEL);

	if (rule)
		memset(rule, 0, struct_size(rule, cpu, nr_cpu_ids));
	return rule;
}

/* For rules that no packet can have seen. */
void esw_rule_free(struct esw_rule *rule)
{
	kmem_cache_free(rule_cache, rule);
}

static void esw_rule_free_rcu(struct rcu_head *rcu)
{
	esw_rule_free(container_of(rcu, struct esw_rule, rcu));
}

/* The counters as they are now. */
struct esw_count esw_rule_count(const struct esw_rule *rule)
{
	struct esw_count sum = {};
	int cpu;

	for_each_possible_cpu(cpu) {
		const struct esw_count *c = &rule->cpu[cpu].count;

		sum.packets += READ_ONCE(c->packets);
		sum.bytes += READ_ONCE(c->bytes);
		sum.used = max(sum.used, READ_ONCE(c->used));
	}
	return sum;
}

static void esw_table_poll(struct work_struct *work)
{
	struct eswitch *esw = container_of(to_delayed_work(work), struct eswitch,
					   poll);
	struct esw_rule *rule;

	mutex_lock(&esw->table_lock);
	list_for_each_entry(rule, &esw->rules, list)
		rule->seen = esw_rule_count(rule);
	mutex_unlock(&esw->table_lock);
	esw_table_poll_soon(esw);
}

/* Sets the next poll by the delay that is wanted now. */
void esw_table_poll_soon(struct eswitch *esw)
{
	u32 ms = READ_ONCE(esw->stats_delay_ms);

	if (ms)
		mod_delayed_work(system_wq, &esw->poll, msecs_to_jiffies(ms));
}

int esw_table_init(struct eswitch *esw)
{
	int err;

	err = rhltable_init(&esw->by_key, &by_key_params);
	if (err)
		return err;
	err = rhashtable_init(&esw->by_id, &by_id_params);
	if (err) {
		rhltable_destroy(&esw->by_key);
		return err;
	}
	INIT_DELAYED_WORK(&esw->poll, esw_table_poll);
	esw_table_poll_soon(esw);
	return 0;
}

void esw_table_destroy(struct eswitch *esw)
{
	cancel_delayed_work_sync(&esw->poll);
	mutex_lock(&esw->table_lock);
	esw_table_forget(esw);
	mutex_unlock(&esw->table_lock);
	rhashtable_destroy(&esw->by_id);
	rhltable_destroy(&esw->by_key);
}

static struct esw_tier *esw_tier_get(struct esw_port *port, u32 prio,
				     const struct esw_fields *mask)
{
	struct esw_tier *tier, *new;

	list_for_each_entry(tier, &port->tiers, list) {
		if (tier->prio > prio)
			break;
		if (tier->prio == prio && !memcmp(&tier->mask, mask, sizeof(*mask)))
			return tier;
	}
	new = kzalloc(sizeof(*new), GFP_KERNEL);
	if (!new)
		return NULL;
	new->prio = prio;
	new->mask = *mask;
	list_add_tail_rcu(&new->list, &tier->list);
	return new;
}

static void esw_tier_put(struct esw_tier *tier)
{
	if (tier->rules)
		return;
	list_del_rcu(&tier->list);
	kfree_rcu(tier, rcu);
}

/* Takes over the rule if it returns 0. Where a filter is replaced, its new rule
 * comes before its old one went: both have one key, the newer one counts.
 */
int esw_table_insert(struct eswitch *esw, struct esw_rule *rule, u32 prio,
		     const struct esw_fields *mask)
{
	struct esw_tier *tier;
	int err;

	lockdep_assert_held(&esw->table_lock);
	tier = esw_tier_get(rule->id.port, prio, mask);
	if (!tier)
		return -ENOMEM;
	rule->key.tier = tier;
	err = rhashtable_insert_fast(&esw->by_id, &rule->by_id, by_id_params);
	if (err)
		goto err_tier;
	err = rhltable_insert(&esw->by_key, &rule->by_key, by_key_params);
	if (err)
		goto err_id;
	list_add_tail(&rule->list, &esw->rules);
	tier->rules++;
	WRITE_ONCE(rule->id.port->rules, rule->id.port->rules + 1);
	esw->nr_rules++;
	esw->adds++;
	return 0;

err_id:
	rhashtable_remove_fast(&esw->by_id, &rule->by_id, by_id_params);
err_tier:
	esw_tier_put(tier);
	return err;
}

void esw_table_remove(struct eswitch *esw, struct esw_rule *rule)
{
	struct esw_port *port = rule->id.port;

	lockdep_assert_held(&esw->table_lock);
	rhltable_remove(&esw->by_key, &rule->by_key, by_key_params);
	rhashtable_remove_fast(&esw->by_id, &rule->by_id, by_id_params);
	list_del(&rule->list);
	WRITE_ONCE(port->rules, port->rules - 1);
	esw->nr_rules--;
	rule->key.tier->rules--;
	esw_tier_put(rule->key.tier);
	call_rcu(&rule->rcu, esw_rule_free_rcu);
}

/* Loses all rules; tc is not told. */
void esw_table_forget(struct eswitch *esw)
{
	struct esw_rule *rule, *next;

	list_for_each_entry_safe(rule, next, &esw->rules, list) {
		esw_table_remove(esw, rule);
		esw->lost++;
	}
}

struct esw_rule *esw_table_find(struct eswitch *esw, struct esw_port *port,
				unsigned long cookie)
{
	struct esw_rule_id id = { .port = port, .cookie = cookie };

	lockdep_assert_held(&esw->table_lock);
	return rhashtable_lookup_fast(&esw->by_id, &id, by_id_params);
}

struct esw_rule *esw_table_lookup(struct esw_port *port, struct sk_buff *skb)
{
	struct eswitch *esw = port->esw;
	struct esw_fields fields;
	struct rhlist_head *found;
	struct esw_tier *tier;
	struct esw_key key;

	if (list_empty(&port->tiers) || !esw_match_packet(skb, &fields))
		return NULL;
	list_for_each_entry_rcu(tier, &port->tiers, list) {
		key.tier = tier;
		esw_mask(&key.fields, &fields, &tier->mask);
		found = rhltable_lookup(&esw->by_key, &key, by_key_params);
		if (found)
			return container_of(found, struct esw_rule, by_key);
	}
	return NULL;
}
