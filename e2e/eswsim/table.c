// SPDX-License-Identifier: GPL-2.0
/* The table of rules: found by packets without a lock, by tc with the table's.
 *
 * A source has a list of tiers, each with a priority and a mask. A packet is
 * masked by one tier after the other and looked up in one hash table, until
 * there is a rule.
 */
#include <linux/slab.h>

#include "eswsim.h"

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
	esw_table_forget(esw, NULL);
	mutex_unlock(&esw->table_lock);
	rhashtable_destroy(&esw->by_id);
	rhltable_destroy(&esw->by_key);
}

static struct esw_tier *esw_tier_get(struct esw_source *source, u32 prio,
				     const struct esw_fields *mask)
{
	struct esw_tier *tier, *new;

	list_for_each_entry(tier, &source->tiers, list) {
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
	tier = esw_tier_get(rule->id.source, prio, mask);
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
	WRITE_ONCE(rule->id.source->rules, rule->id.source->rules + 1);
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
	struct esw_source *source = rule->id.source;

	lockdep_assert_held(&esw->table_lock);
	rhltable_remove(&esw->by_key, &rule->by_key, by_key_params);
	rhashtable_remove_fast(&esw->by_id, &rule->by_id, by_id_params);
	list_del(&rule->list);
	WRITE_ONCE(source->rules, source->rules - 1);
	esw->nr_rules--;
	rule->key.tier->rules--;
	esw_tier_put(rule->key.tier);
	esw_rule_free_soon(rule);
}

/* Loses the rules of a source, or all for NULL; tc is not told. */
void esw_table_forget(struct eswitch *esw, struct esw_source *source)
{
	struct esw_rule *rule, *next;

	list_for_each_entry_safe(rule, next, &esw->rules, list) {
		if (source && rule->id.source != source)
			continue;
		esw_table_remove(esw, rule);
		esw->lost++;
	}
}

struct esw_rule *esw_table_find(struct esw_source *source, unsigned long cookie)
{
	struct esw_rule_id id = { .source = source, .cookie = cookie };

	lockdep_assert_held(&source->esw->table_lock);
	return rhashtable_lookup_fast(&source->esw->by_id, &id, by_id_params);
}

struct esw_rule *esw_table_lookup(struct esw_source *source,
				  const struct esw_fields *fields)
{
	struct rhlist_head *found;
	struct esw_tier *tier;
	struct esw_key key;

	list_for_each_entry_rcu(tier, &source->tiers, list) {
		key.tier = tier;
		esw_mask(&key.fields, fields, &tier->mask);
		found = rhltable_lookup(&source->esw->by_key, &key, by_key_params);
		if (found)
			return container_of(found, struct esw_rule, by_key);
	}
	return NULL;
}
