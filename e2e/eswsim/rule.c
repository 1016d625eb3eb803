// SPDX-License-Identifier: GPL-2.0
/* Rules: their memory and their counters. */
#include <linux/slab.h>

#include "eswsim.h"

static struct kmem_cache *rule_cache;

/* Having a constructor keeps the cache apart from others of that size, so that
 * /proc/slabinfo shows what is ours.
 */
static void esw_rule_construct(void *rule)
{
}

int esw_rule_module_init(void)
{
	rule_cache = kmem_cache_create("eswsim_rule",
				       struct_size((struct esw_rule *)0, cpu,
						   nr_cpu_ids),
				       __alignof__(struct esw_cpu_count), 0,
				       esw_rule_construct);
	return rule_cache ? 0 : -ENOMEM;
}

void esw_rule_module_exit(void)
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
	kfree(rule->steps);
	kfree(rule->encap);
	kmem_cache_free(rule_cache, rule);
}

static void esw_rule_free_rcu(struct rcu_head *rcu)
{
	esw_rule_free(container_of(rcu, struct esw_rule, rcu));
}

/* When no packet sees it any more. */
void esw_rule_free_soon(struct esw_rule *rule)
{
	call_rcu(&rule->rcu, esw_rule_free_rcu);
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
