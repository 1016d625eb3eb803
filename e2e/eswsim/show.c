// SPDX-License-Identifier: GPL-2.0
/* What tests can see of the model: its counters, and its rules as it has them. */
#include <linux/module.h>
#include <linux/seq_file.h>

#include "eswsim.h"

static int esw_counters_show(struct seq_file *out, void *unused)
{
	struct eswitch *esw = out->private;
	struct esw_cpu_totals sum = {};
	int cpu;

	for_each_possible_cpu(cpu) {
		const struct esw_cpu_totals *t = per_cpu_ptr(esw->totals, cpu);

		sum.hits += READ_ONCE(t->hits);
		sum.misses += READ_ONCE(t->misses);
		sum.dropped += READ_ONCE(t->dropped);
		sum.cpu_ns += READ_ONCE(t->cpu_ns);
		sum.cpu_host_ns += READ_ONCE(t->cpu_host_ns);
	}
	mutex_lock(&esw->table_lock);
	seq_printf(out, "rules %u\nadds %llu\ndels %llu\nrefused %llu\nfull %llu\n",
		   esw->nr_rules, esw->adds, esw->dels, esw->refused, esw->full);
	seq_printf(out, "lost %llu\n", esw->lost);
	mutex_unlock(&esw->table_lock);
	seq_printf(out, "hits %llu\nmisses %llu\ndropped %llu\n",
		   sum.hits, sum.misses, sum.dropped);
	seq_printf(out, "cpu_ns %llu\ncpu_host_ns %llu\n", sum.cpu_ns,
		   sum.cpu_host_ns);
	return 0;
}

static int esw_counters_open(struct inode *inode, struct file *file)
{
	return single_open(file, esw_counters_show, inode->i_private);
}

const struct file_operations esw_counters_fops = {
	.owner = THIS_MODULE,
	.open = esw_counters_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = single_release,
};

static void esw_source_show(struct seq_file *out, const struct esw_source *source)
{
	if (source->port)
		esw_port_show(out, source->port);
	else
		seq_puts(out, esw_upper_of(source)->dev->name);
}

static int esw_rules_show(struct seq_file *out, void *unused)
{
	struct eswitch *esw = out->private;
	const struct esw_rule *rule;

	mutex_lock(&esw->table_lock);
	list_for_each_entry(rule, &esw->rules, list) {
		struct esw_count count = esw_rule_count(rule);

		esw_source_show(out, rule->id.source);
		seq_printf(out, " prio=%u", rule->key.tier->prio);
		esw_match_show(out, &rule->key.fields, &rule->key.tier->mask);
		esw_action_show(out, rule);
		seq_printf(out, " packets=%llu bytes=%llu\n", count.packets,
			   count.bytes);
	}
	mutex_unlock(&esw->table_lock);
	return 0;
}

static int esw_rules_open(struct inode *inode, struct file *file)
{
	return single_open(file, esw_rules_show, inode->i_private);
}

const struct file_operations esw_rules_fops = {
	.owner = THIS_MODULE,
	.open = esw_rules_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = single_release,
};
