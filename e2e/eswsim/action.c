// SPDX-License-Identifier: GPL-2.0
/* What rules do with a packet. */
#include <linux/if_vlan.h>
#include <linux/slab.h>
#include <linux/tc_act/tc_csum.h>

#include "eswsim.h"

#define ESW_CSUMS (TCA_CSUM_UPDATE_FLAG_IPV4HDR | TCA_CSUM_UPDATE_FLAG_ICMP | \
		   TCA_CSUM_UPDATE_FLAG_TCP | TCA_CSUM_UPDATE_FLAG_UDP)

/* A list of actions on its way into a rule. */
struct esw_parse {
	struct eswitch *esw;
	struct esw_rule *rule;
	const struct esw_fields *mask;
	struct netlink_ext_ack *extack;
	bool tunnel;		/* what comes is within a tunnel */
	u32 csum;		/* sums that are wrong by now */
	bool ends;
};

static const char * const names[NUM_FLOW_ACTIONS] = {
	[FLOW_ACTION_GOTO] = "goto chain",
	[FLOW_ACTION_REDIRECT_INGRESS] = "ingress redirect",
	[FLOW_ACTION_MIRRED_INGRESS] = "ingress mirror",
	[FLOW_ACTION_MARK] = "mark",
	[FLOW_ACTION_PTYPE] = "ptype",
	[FLOW_ACTION_PRIORITY] = "priority",
	[FLOW_ACTION_QUEUE] = "queue",
	[FLOW_ACTION_SAMPLE] = "sample",
	[FLOW_ACTION_POLICE] = "police",
	[FLOW_ACTION_CT] = "ct",
	[FLOW_ACTION_MPLS_PUSH] = "mpls push",
	[FLOW_ACTION_MPLS_POP] = "mpls pop",
	[FLOW_ACTION_MPLS_MANGLE] = "mpls modify",
	[FLOW_ACTION_CONTINUE] = "continue",
};

static int esw_refuse(struct netlink_ext_ack *extack, u32 id)
{
	if (id < NUM_FLOW_ACTIONS && names[id])
		esw_say(extack, "cannot do action %s", names[id]);
	else
		esw_say(extack, "cannot do action %u", id);
	return -EOPNOTSUPP;
}

static struct esw_step *esw_step_add(struct esw_parse *p, enum esw_step_kind kind)
{
	struct esw_step *step = &p->rule->steps[p->rule->nr_steps++];

	step->kind = kind;
	return step;
}

static int esw_target_check(struct esw_parse *p, const struct esw_target *target,
			    const struct net_device *dev)
{
	const struct esw_rule *rule = p->rule;
	u32 i;

	for (i = 0; i < rule->nr_steps; i++) {
		const struct esw_step *step = &rule->steps[i];

		if (step->kind == ESW_OUTPUT && step->target.port == target->port &&
		    step->target.bond == target->bond) {
			esw_say(p->extack, "cannot forward to %s twice", dev->name);
			return -EOPNOTSUPP;
		}
	}
	if (rule->nr_outputs == ESW_MAX_OUTPUTS) {
		esw_say(p->extack, "cannot forward to more than %d ports",
			ESW_MAX_OUTPUTS);
		return -EOPNOTSUPP;
	}
	if (p->csum) {
		esw_say(p->extack, "cannot forward before action csum has mended the sums (0x%x)",
			p->csum);
		return -EOPNOTSUPP;
	}
	return 0;
}

/* An output must be a port of the same eswitch; the wires do not go further. */
static int esw_output(struct esw_parse *p, struct net_device *dev)
{
	struct esw_target target;
	int err;

	err = esw_target_parse(p->esw, dev, &target, p->extack);
	if (!err)
		err = esw_target_check(p, &target, dev);
	if (err)
		return err;
	esw_step_add(p, ESW_OUTPUT)->target = target;
	p->rule->nr_outputs++;
	return 0;
}

/* After "tunnel_key set" comes the redirect to a tunnel's device, which is done
 * here: it says which kind, and the host's routes where to.
 */
static int esw_output_tunnel(struct esw_parse *p, struct net_device *dev)
{
	struct esw_encap *encap = p->rule->encap;
	struct esw_target none = {};
	struct esw_tunnel tunnel;
	struct esw_path path;
	int err;

	if (!dev || !net_eq(dev_net(dev), p->esw->net) ||
	    esw_tunnel_of(dev, &tunnel)) {
		esw_say(p->extack, "cannot send to %s after tunnel_key set: no VXLAN or Geneve device with external fields",
			dev ? dev->name : "nothing");
		return -EOPNOTSUPP;
	}
	if (tunnel.kind == ESW_VXLAN && encap->options.len) {
		esw_say(p->extack, "cannot set options of vxlan");
		return -EOPNOTSUPP;
	}
	if (tunnel.kind == ESW_VXLAN && encap->tunnel.port)
		tunnel.port = encap->tunnel.port; /* the other kind has its device's */
	encap->tunnel = tunnel;
	err = esw_target_check(p, &none, dev);
	if (err)
		return err;
	rcu_read_lock();
	err = esw_underlay_find(p->esw, encap, &path, p->extack);
	rcu_read_unlock();
	if (err)
		return err;
	esw_step_add(p, ESW_OUTPUT);
	p->rule->nr_outputs++;
	return 0;
}

static int esw_encap(struct esw_parse *p, const struct ip_tunnel_info *info)
{
	struct esw_encap *encap = esw_encap_parse(info, p->extack);

	if (IS_ERR(encap))
		return PTR_ERR(encap);
	p->rule->encap = encap;
	esw_step_add(p, ESW_ENCAP);
	return 0;
}

static int esw_decap(struct esw_parse *p)
{
	if (!p->tunnel) {
		esw_say(p->extack, "cannot do action tunnel_key unset but on a tunnel's device, and once");
		return -EOPNOTSUPP;
	}
	p->tunnel = false;
	esw_step_add(p, ESW_DECAP);
	return 0;
}

static int esw_vlan(struct esw_parse *p, const struct flow_action_entry *entry)
{
	static const enum esw_step_kind kinds[] = {
		[FLOW_ACTION_VLAN_PUSH] = ESW_PUSH,
		[FLOW_ACTION_VLAN_POP] = ESW_POP,
		[FLOW_ACTION_VLAN_MANGLE] = ESW_RETAG,
	};
	struct esw_step *step = esw_step_add(p, kinds[entry->id]);

	if (entry->id == FLOW_ACTION_VLAN_POP)
		return 0;
	step->tag.proto = entry->vlan.proto;
	step->tag.tci = entry->vlan.vid | entry->vlan.prio << VLAN_PRIO_SHIFT;
	return 0;
}

static int esw_csum(struct esw_parse *p, u32 flags)
{
	if (flags & ~ESW_CSUMS) {
		esw_say(p->extack, "cannot do action csum 0x%x",
			flags & ~ESW_CSUMS);
		return -EOPNOTSUPP;
	}
	p->csum &= ~flags;	/* each edit mends them by itself */
	return 0;
}

/* What cannot follow what came before. */
static int esw_order(struct esw_parse *p, enum flow_action_id id)
{
	const char *why = NULL;

	if (p->ends)
		why = "go on after redirect, drop or pass";
	else if (p->rule->encap && id != FLOW_ACTION_REDIRECT &&
		 id != FLOW_ACTION_PIPE)
		why = "do anything but redirect after tunnel_key set";
	else if (p->tunnel && id != FLOW_ACTION_TUNNEL_DECAP &&
		 id != FLOW_ACTION_ACCEPT && id != FLOW_ACTION_TRAP &&
		 id != FLOW_ACTION_DROP && id != FLOW_ACTION_PIPE)
		why = "use what came by a tunnel before tunnel_key unset";
	if (!why)
		return 0;
	esw_say(p->extack, "cannot %s", why);
	return -EOPNOTSUPP;
}

static int esw_action(struct esw_parse *p, const struct flow_action_entry *entry)
{
	int err = esw_order(p, entry->id);

	if (err)
		return err;
	switch (entry->id) {
	case FLOW_ACTION_REDIRECT:
		p->ends = true;
		if (p->rule->encap)
			return esw_output_tunnel(p, entry->dev);
		fallthrough;
	case FLOW_ACTION_MIRRED:
		return esw_output(p, entry->dev);
	case FLOW_ACTION_VLAN_PUSH:
	case FLOW_ACTION_VLAN_POP:
	case FLOW_ACTION_VLAN_MANGLE:
		return esw_vlan(p, entry);
	case FLOW_ACTION_MANGLE:
	case FLOW_ACTION_ADD:
		return esw_edit_parse(entry, &p->rule->key.fields, p->mask,
				      &esw_step_add(p, ESW_EDIT)->edit, &p->csum,
				      p->extack);
	case FLOW_ACTION_CSUM:
		return esw_csum(p, entry->csum_flags);
	case FLOW_ACTION_TUNNEL_DECAP:
		return esw_decap(p);
	case FLOW_ACTION_TUNNEL_ENCAP:
		return esw_encap(p, entry->tunnel);
	case FLOW_ACTION_ACCEPT:
	case FLOW_ACTION_TRAP:
		p->rule->pass = true;
		fallthrough;
	case FLOW_ACTION_DROP:
		p->ends = true;
		return 0;
	case FLOW_ACTION_PIPE:
		return 0;
	default:
		return esw_refuse(p->extack, entry->id);
	}
}

static int esw_actions(struct esw_parse *p, const struct flow_action *action)
{
	const struct flow_action_entry *entry;
	int i, err;

	flow_action_for_each(i, entry, action) {
		err = esw_action(p, entry);
		if (err)
			return err;
	}
	if (!p->ends) {
		esw_say(p->extack, "cannot mirror or rewrite without a redirect at the end");
		return -EOPNOTSUPP;
	}
	if (p->rule->nr_steps && !p->rule->nr_outputs) {
		esw_say(p->extack, "cannot rewrite and then drop or pass");
		return -EOPNOTSUPP;
	}
	if (p->rule->nr_outputs && p->rule->pass) {
		esw_say(p->extack, "cannot mirror and pass to the slow path");
		return -EOPNOTSUPP;
	}
	return 0;
}

int esw_action_parse(struct esw_source *source, struct flow_cls_offload *cls,
		     struct esw_rule *rule, const struct esw_fields *mask)
{
	struct flow_action *action = &flow_cls_offload_flow_rule(cls)->action;
	const struct esw_upper *upper = esw_upper_of(source);
	struct esw_parse parse = {
		.esw = source->esw,
		.rule = rule,
		.mask = mask,
		.extack = cls->common.extack,
		.tunnel = upper && upper->tunnel.kind,
	};

	if (!flow_action_has_entries(action)) {
		esw_say(parse.extack, "cannot do without an action");
		return -EOPNOTSUPP;
	}
	if (!flow_action_hw_stats_check(action, parse.extack,
					FLOW_ACTION_HW_STATS_DELAYED_BIT))
		return -EOPNOTSUPP;
	rule->steps = kcalloc(action->num_entries, sizeof(*rule->steps), GFP_KERNEL);
	if (!rule->steps)
		return -ENOMEM;
	return esw_actions(&parse, action);
}
