// SPDX-License-Identifier: GPL-2.0
/* What rules match: from tc's words, and from packets. */
#include <linux/if_vlan.h>
#include <linux/version.h>
#include <net/flow_dissector.h>
#include <net/pkt_cls.h>

#include "eswsim.h"

static struct flow_dissector dissector;

#define ESW_FIELD(id, field) \
	{ FLOW_DISSECTOR_KEY_##id, offsetof(struct esw_fields, field) }

static const struct flow_dissector_key fields[] = {
	ESW_FIELD(CONTROL, control),
	ESW_FIELD(BASIC, basic),
	ESW_FIELD(ETH_ADDRS, eth),
	ESW_FIELD(VLAN, vlan),
	ESW_FIELD(IPV4_ADDRS, ipv4),
	ESW_FIELD(IPV6_ADDRS, ipv6),
	ESW_FIELD(PORTS, ports),
	ESW_FIELD(TCP, tcp),
	ESW_FIELD(IP, ip),
};

/* For refusals. */
static const char * const names[FLOW_DISSECTOR_KEY_MAX] = {
	[FLOW_DISSECTOR_KEY_PORTS_RANGE] = "port range",
	[FLOW_DISSECTOR_KEY_ICMP] = "icmp",
	[FLOW_DISSECTOR_KEY_TIPC] = "tipc",
	[FLOW_DISSECTOR_KEY_ARP] = "arp",
	[FLOW_DISSECTOR_KEY_FLOW_LABEL] = "flow label",
	[FLOW_DISSECTOR_KEY_GRE_KEYID] = "gre key",
	[FLOW_DISSECTOR_KEY_MPLS_ENTROPY] = "mpls entropy",
	[FLOW_DISSECTOR_KEY_ENC_KEYID] = "tunnel id",
	[FLOW_DISSECTOR_KEY_ENC_IPV4_ADDRS] = "tunnel ipv4 address",
	[FLOW_DISSECTOR_KEY_ENC_IPV6_ADDRS] = "tunnel ipv6 address",
	[FLOW_DISSECTOR_KEY_ENC_CONTROL] = "tunnel control",
	[FLOW_DISSECTOR_KEY_ENC_PORTS] = "tunnel port",
	[FLOW_DISSECTOR_KEY_MPLS] = "mpls",
	[FLOW_DISSECTOR_KEY_CVLAN] = "second vlan",
	[FLOW_DISSECTOR_KEY_ENC_IP] = "tunnel ip",
	[FLOW_DISSECTOR_KEY_ENC_OPTS] = "tunnel options",
	[FLOW_DISSECTOR_KEY_CT] = "conntrack state",
	[FLOW_DISSECTOR_KEY_HASH] = "hash",
	[FLOW_DISSECTOR_KEY_NUM_OF_VLANS] = "number of vlans",
	[FLOW_DISSECTOR_KEY_PPPOE] = "pppoe",
	[FLOW_DISSECTOR_KEY_L2TPV3] = "l2tpv3",
};

void esw_match_init(void)
{
	skb_flow_dissector_init(&dissector, fields, ARRAY_SIZE(fields));
}

static int esw_check_keys(struct flow_rule *rule, struct netlink_ext_ack *extack)
{
	int i;

	for (i = 0; i < FLOW_DISSECTOR_KEY_MAX; i++) {
		if (!flow_rule_match_key(rule, i) ||
		    dissector_uses_key(&dissector, i) ||
		    i == FLOW_DISSECTOR_KEY_META)
			continue;
		if (names[i])
			esw_say(extack, "cannot match %s", names[i]);
		else
			esw_say(extack, "cannot match key %d", i);
		return -EOPNOTSUPP;
	}
	return 0;
}

#define ESW_FRAGMENT_FLAGS ((u32)(FLOW_DIS_IS_FRAGMENT | FLOW_DIS_FIRST_FRAG))

static int esw_check_control(struct flow_rule *rule,
			     struct netlink_ext_ack *extack)
{
	struct flow_match_control match;

	if (!flow_rule_match_key(rule, FLOW_DISSECTOR_KEY_CONTROL))
		return 0;
	flow_rule_match_control(rule, &match);
	if (match.mask->flags & ~ESW_FRAGMENT_FLAGS) {
		esw_say(extack, "cannot match flags 0x%x",
			match.mask->flags & ~ESW_FRAGMENT_FLAGS);
		return -EOPNOTSUPP;
	}
	return 0;
}

/* The device of a packet is where its rule is, so only that can be named. */
static int esw_check_meta(struct esw_port *port, struct flow_rule *rule,
			  struct netlink_ext_ack *extack)
{
	struct flow_match_meta match;
	struct net_device *rep;
	int ifindex;

	if (!flow_rule_match_key(rule, FLOW_DISSECTOR_KEY_META))
		return 0;
	flow_rule_match_meta(rule, &match);
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
	if (match.mask->l2_miss) {
		esw_say(extack, "cannot match l2_miss");
		return -EOPNOTSUPP;
	}
#endif
	if (!match.mask->ingress_ifindex)
		return 0;
	rcu_read_lock();
	rep = rcu_dereference(port->rep);
	ifindex = rep ? rep->ifindex : 0;
	rcu_read_unlock();
	if (match.mask->ingress_ifindex != ~0 ||
	    match.key->ingress_ifindex != ifindex) {
		esw_say(extack, "cannot match another input device than the rule's own");
		return -EOPNOTSUPP;
	}
	return 0;
}

/* Copies what the rule says of each kind that it has. */
static void esw_copy(struct flow_rule *rule, struct esw_fields *key,
		     struct esw_fields *mask)
{
#define ESW_COPY(id, what, field) do {						\
	struct flow_match_##what match;						\
	if (flow_rule_match_key(rule, FLOW_DISSECTOR_KEY_##id)) {		\
		flow_rule_match_##what(rule, &match);				\
		memcpy(&key->field, match.key, sizeof(key->field));		\
		memcpy(&mask->field, match.mask, sizeof(mask->field));		\
	}									\
} while (0)
	ESW_COPY(CONTROL, control, control);
	ESW_COPY(BASIC, basic, basic);
	ESW_COPY(ETH_ADDRS, eth_addrs, eth);
	ESW_COPY(VLAN, vlan, vlan);
	ESW_COPY(IPV4_ADDRS, ipv4_addrs, ipv4);
	ESW_COPY(IPV6_ADDRS, ipv6_addrs, ipv6);
	ESW_COPY(PORTS, ports, ports);
	ESW_COPY(TCP, tcp, tcp);
	ESW_COPY(IP, ip, ip);
#undef ESW_COPY
	/* the place of the headers says nothing, and padding even less */
	mask->control.thoff = 0;
	mask->basic.padding = 0;
	mask->vlan.padding = 0;
}

/* Translates a flower match, or says what cannot be. The key comes back masked. */
int esw_match_parse(struct esw_port *port, struct flow_cls_offload *cls,
		    struct esw_fields *key, struct esw_fields *mask)
{
	struct flow_rule *rule = flow_cls_offload_flow_rule(cls);
	struct netlink_ext_ack *extack = cls->common.extack;
	__be16 protocol = cls->common.protocol;
	int err;

	err = esw_check_keys(rule, extack);
	if (!err)
		err = esw_check_control(rule, extack);
	if (!err)
		err = esw_check_meta(port, rule, extack);
	if (err)
		return err;
	memset(key, 0, sizeof(*key));
	memset(mask, 0, sizeof(*mask));
	esw_copy(rule, key, mask);
	if (!mask->vlan.vlan_tpid) {
		/* without a word of VLANs a rule means untagged packets */
		key->vlan.vlan_tpid = 0;
		mask->vlan.vlan_tpid = htons(0xffff);
	}
	if (!mask->basic.n_proto && protocol != htons(ETH_P_ALL) &&
	    !eth_type_vlan(protocol)) {
		key->basic.n_proto = protocol;
		mask->basic.n_proto = htons(0xffff);
	}
	esw_mask(key, key, mask);
	return 0;
}

/* Reads a packet, whose data begins at its Ethernet header. False for one
 * that cannot be understood though it says that it is IP: it matches no rule.
 */
bool esw_match_packet(struct sk_buff *skb, struct esw_fields *to)
{
	memset(to, 0, sizeof(*to));
	if (!pskb_may_pull(skb, ETH_HLEN))
		return false;
	skb_reset_mac_header(skb);
	skb_set_network_header(skb, ETH_HLEN);
	skb->protocol = eth_hdr(skb)->h_proto;
	to->basic.n_proto = skb_protocol(skb, false);
	return skb_flow_dissect(skb, &dissector, to,
				FLOW_DISSECTOR_F_STOP_BEFORE_ENCAP) ||
	       (to->basic.n_proto != htons(ETH_P_IP) &&
		to->basic.n_proto != htons(ETH_P_IPV6));
}
