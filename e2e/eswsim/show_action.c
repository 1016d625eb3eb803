// SPDX-License-Identifier: GPL-2.0
/* What tests can see of what a rule does. */
#include <linux/if_vlan.h>
#include <linux/seq_file.h>

#include "eswsim.h"

void esw_port_show(struct seq_file *out, const struct esw_port *port)
{
	if (port->uplink)
		seq_printf(out, "p%u", port->number);
	else
		seq_printf(out, "pf%uvf%u", port->pf, port->number);
}

static void esw_edit_show(struct seq_file *out, const struct esw_edit *edit)
{
	static const char * const headers[] = {
		[FLOW_ACT_MANGLE_HDR_TYPE_ETH] = "eth",
		[FLOW_ACT_MANGLE_HDR_TYPE_IP4] = "ip4",
		[FLOW_ACT_MANGLE_HDR_TYPE_IP6] = "ip6",
		[FLOW_ACT_MANGLE_HDR_TYPE_TCP] = "tcp",
		[FLOW_ACT_MANGLE_HDR_TYPE_UDP] = "udp",
	};
	__be32 bits = ~(__force __be32)edit->keep;

	seq_printf(out, " %s=%s+%u:0x%08x/0x%08x", edit->add ? "add" : "set",
		   headers[edit->header], edit->offset,
		   ntohl((__force __be32)edit->value), ntohl(bits));
}

static void esw_encap_show(struct seq_file *out, const struct esw_encap *encap)
{
	seq_printf(out, " encap=%s key=%u",
		   encap->tunnel.kind == ESW_GENEVE ? "geneve" : "vxlan",
		   ntohl(encap->vni) >> 8);
	if (encap->ipv6)
		seq_printf(out, " enc_src=%pI6c enc_dst=%pI6c", &encap->src,
			   &encap->dst);
	else
		seq_printf(out, " enc_src=%pI4 enc_dst=%pI4", &encap->src,
			   &encap->dst);
	seq_printf(out, " enc_dport=%u enc_tos=0x%x enc_ttl=%u%s%s",
		   ntohs(encap->tunnel.port), encap->tos, encap->ttl,
		   encap->csum ? " csum" : "", encap->df ? " df" : "");
	if (encap->options.len)
		seq_printf(out, " enc_options=%*phN", encap->options.len,
			   encap->options.data);
}

static void esw_bond_show(struct seq_file *out, struct net *net, int ifindex)
{
	const struct net_device *bond;

	rcu_read_lock();
	bond = dev_get_by_index_rcu(net, ifindex);
	seq_puts(out, bond ? bond->name : "gone");
	rcu_read_unlock();
}

static void esw_target_show(struct seq_file *out, const struct esw_rule *rule,
			    const struct esw_target *target)
{
	if (target->port)
		esw_port_show(out, target->port);
	else if (target->bond)
		esw_bond_show(out, rule->id.source->esw->net, target->bond);
	else
		seq_puts(out, "route");
}

static void esw_step_show(struct seq_file *out, const struct esw_rule *rule,
			  const struct esw_step *step, bool follows)
{
	switch (step->kind) {
	case ESW_OUTPUT:
		seq_puts(out, follows ? "," : " to=");
		esw_target_show(out, rule, &step->target);
		break;
	case ESW_PUSH:
	case ESW_RETAG:
		seq_printf(out, " %s=%u prio=%u tpid=0x%04x",
			   step->kind == ESW_PUSH ? "push" : "retag",
			   step->tag.tci & VLAN_VID_MASK,
			   step->tag.tci >> VLAN_PRIO_SHIFT,
			   ntohs(step->tag.proto));
		break;
	case ESW_POP:
		seq_puts(out, " pop");
		break;
	case ESW_EDIT:
		esw_edit_show(out, &step->edit);
		break;
	case ESW_DECAP:
		seq_puts(out, " decap");
		break;
	case ESW_ENCAP:
		esw_encap_show(out, rule->encap);
		break;
	}
}

void esw_action_show(struct seq_file *out, const struct esw_rule *rule)
{
	const struct esw_step *step = rule->steps;
	u32 i;

	if (rule->pass)
		seq_puts(out, " pass");
	else if (!rule->nr_outputs)
		seq_puts(out, " drop");
	for (i = 0; i < rule->nr_steps; i++)
		esw_step_show(out, rule, &step[i],
			      i && step[i - 1].kind == ESW_OUTPUT);
}
