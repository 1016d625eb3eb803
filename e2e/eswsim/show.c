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
	}
	mutex_lock(&esw->table_lock);
	seq_printf(out, "rules %u\nadds %llu\ndels %llu\nrefused %llu\nfull %llu\n",
		   esw->nr_rules, esw->adds, esw->dels, esw->refused, esw->full);
	seq_printf(out, "lost %llu\n", esw->lost);
	mutex_unlock(&esw->table_lock);
	seq_printf(out, "hits %llu\nmisses %llu\ndropped %llu\ncpu_ns %llu\n",
		   sum.hits, sum.misses, sum.dropped, sum.cpu_ns);
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

static void esw_port_show(struct seq_file *out, const struct esw_port *port)
{
	if (port->uplink)
		seq_printf(out, "p%u", port->number);
	else
		seq_printf(out, "pf%uvf%u", port->pf, port->number);
}

static void esw_match_show(struct seq_file *out, const struct esw_fields *key,
			   const struct esw_fields *mask)
{
	if (mask->basic.n_proto)
		seq_printf(out, " eth_type=0x%04x", ntohs(key->basic.n_proto));
	if (!is_zero_ether_addr(mask->eth.src))
		seq_printf(out, " src_mac=%pM", key->eth.src);
	if (!is_zero_ether_addr(mask->eth.dst))
		seq_printf(out, " dst_mac=%pM", key->eth.dst);
	if (key->vlan.vlan_tpid)
		seq_printf(out, " vlan=%u", key->vlan.vlan_id);
	if (mask->basic.ip_proto)
		seq_printf(out, " ip_proto=%u", key->basic.ip_proto);
	if (key->control.addr_type == FLOW_DISSECTOR_KEY_IPV4_ADDRS)
		seq_printf(out, " src=%pI4/%pI4 dst=%pI4/%pI4",
			   &key->ipv4.src, &mask->ipv4.src,
			   &key->ipv4.dst, &mask->ipv4.dst);
	if (key->control.addr_type == FLOW_DISSECTOR_KEY_IPV6_ADDRS)
		seq_printf(out, " src=%pI6c/%pI6c dst=%pI6c/%pI6c",
			   &key->ipv6.src, &mask->ipv6.src,
			   &key->ipv6.dst, &mask->ipv6.dst);
	if (mask->ports.src)
		seq_printf(out, " sport=%u/0x%x", ntohs(key->ports.src),
			   ntohs(mask->ports.src));
	if (mask->ports.dst)
		seq_printf(out, " dport=%u/0x%x", ntohs(key->ports.dst),
			   ntohs(mask->ports.dst));
	if (mask->tcp.flags)
		seq_printf(out, " tcp_flags=0x%x/0x%x", ntohs(key->tcp.flags),
			   ntohs(mask->tcp.flags));
	if (mask->control.flags)
		seq_printf(out, " flags=0x%x/0x%x", key->control.flags,
			   mask->control.flags);
	if (mask->ip.tos)
		seq_printf(out, " tos=0x%x/0x%x", key->ip.tos, mask->ip.tos);
	if (mask->ip.ttl)
		seq_printf(out, " ttl=%u/0x%x", key->ip.ttl, mask->ip.ttl);
}

static void esw_action_show(struct seq_file *out, const struct esw_rule *rule)
{
	int i;

	if (rule->pass)
		seq_puts(out, " pass");
	else if (!rule->nr_outputs)
		seq_puts(out, " drop");
	for (i = 0; i < rule->nr_outputs; i++) {
		seq_puts(out, i ? "," : " to=");
		esw_port_show(out, rule->outputs[i]);
	}
}

static int esw_rules_show(struct seq_file *out, void *unused)
{
	struct eswitch *esw = out->private;
	const struct esw_rule *rule;

	mutex_lock(&esw->table_lock);
	list_for_each_entry(rule, &esw->rules, list) {
		struct esw_count count = esw_rule_count(rule);

		esw_port_show(out, rule->id.port);
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
