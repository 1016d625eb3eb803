// SPDX-License-Identifier: GPL-2.0
/* What rules do with a packet. */
#include "eswsim.h"

static const char * const names[NUM_FLOW_ACTIONS] = {
	[FLOW_ACTION_GOTO] = "goto chain",
	[FLOW_ACTION_REDIRECT_INGRESS] = "ingress redirect",
	[FLOW_ACTION_MIRRED_INGRESS] = "ingress mirror",
	[FLOW_ACTION_VLAN_PUSH] = "vlan push",
	[FLOW_ACTION_VLAN_POP] = "vlan pop",
	[FLOW_ACTION_VLAN_MANGLE] = "vlan modify",
	[FLOW_ACTION_TUNNEL_ENCAP] = "tunnel_key set",
	[FLOW_ACTION_TUNNEL_DECAP] = "tunnel_key unset",
	[FLOW_ACTION_MANGLE] = "pedit set",
	[FLOW_ACTION_ADD] = "pedit add",
	[FLOW_ACTION_CSUM] = "csum",
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

/* An output must be a port of the same eswitch; the wires do not go further. */
static int esw_output(struct esw_port *port, const struct net_device *dev,
		      struct esw_rule *rule, struct netlink_ext_ack *extack)
{
	struct esw_port *to = esw_port_of_rep(dev);
	int i;

	if (!to || to->esw != port->esw) {
		esw_say(extack, "cannot forward to %s, no port of eswitch %s",
			dev ? dev->name : "nothing", port->esw->name);
		return -EOPNOTSUPP;
	}
	for (i = 0; i < rule->nr_outputs; i++) {
		if (rule->outputs[i] == to) {
			esw_say(extack, "cannot forward to %s twice", dev->name);
			return -EOPNOTSUPP;
		}
	}
	if (rule->nr_outputs == ESW_MAX_OUTPUTS) {
		esw_say(extack, "cannot forward to more than %d ports",
			ESW_MAX_OUTPUTS);
		return -EOPNOTSUPP;
	}
	rule->outputs[rule->nr_outputs++] = to;
	return 0;
}

int esw_action_parse(struct esw_port *port, struct flow_cls_offload *cls,
		     struct esw_rule *rule)
{
	struct flow_action *action = &flow_cls_offload_flow_rule(cls)->action;
	struct netlink_ext_ack *extack = cls->common.extack;
	const struct flow_action_entry *entry;
	bool ends = false;
	int i, err;

	if (!flow_action_has_entries(action)) {
		esw_say(extack, "cannot do without an action");
		return -EOPNOTSUPP;
	}
	if (!flow_action_hw_stats_check(action, extack,
					FLOW_ACTION_HW_STATS_DELAYED_BIT))
		return -EOPNOTSUPP;
	flow_action_for_each(i, entry, action) {
		if (ends) {
			esw_say(extack, "cannot go on after redirect, drop or pass");
			return -EOPNOTSUPP;
		}
		switch (entry->id) {
		case FLOW_ACTION_MIRRED:
		case FLOW_ACTION_REDIRECT:
			err = esw_output(port, entry->dev, rule, extack);
			if (err)
				return err;
			ends = entry->id == FLOW_ACTION_REDIRECT;
			break;
		case FLOW_ACTION_ACCEPT:
		case FLOW_ACTION_TRAP:
			rule->pass = true;
			ends = true;
			break;
		case FLOW_ACTION_DROP:
			ends = true;
			break;
		case FLOW_ACTION_PIPE:
			break;
		default:
			return esw_refuse(extack, entry->id);
		}
	}
	if (!ends) {
		esw_say(extack, "cannot mirror without a redirect at the end");
		return -EOPNOTSUPP;
	}
	if (rule->pass && rule->nr_outputs) {
		esw_say(extack, "cannot mirror and pass to the slow path");
		return -EOPNOTSUPP;
	}
	return 0;
}
