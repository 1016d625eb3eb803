// SPDX-License-Identifier: GPL-2.0
/* What rules match: from tc's words, and from packets. */
#include <linux/if_vlan.h>
#include <linux/version.h>
#include <net/flow_dissector.h>
#include <net/pkt_cls.h>

#include "eswsim.h"

static struct flow_dissector dissector;	/* of packets */

#define ESW_FIELD(id, field) \
	{ FLOW_DISSECTOR_KEY_##id, offsetof(struct esw_fields, field) }

/* What the kernel's dissector reads of a packet. */
static const struct flow_dissector_key fields[] = {
	ESW_FIELD(CONTROL, control),
	ESW_FIELD(BASIC, basic),
	ESW_FIELD(ETH_ADDRS, eth),
	ESW_FIELD(VLAN, vlan),
	ESW_FIELD(CVLAN, cvlan),
	ESW_FIELD(IPV4_ADDRS, ipv4),
	ESW_FIELD(IPV6_ADDRS, ipv6),
	ESW_FIELD(PORTS, ports),
	ESW_FIELD(TCP, tcp),
	ESW_FIELD(IP, ip),
};

/* What rules can say, in the same words. */
static const struct {
	enum flow_dissector_key_id id;
	size_t offset, size;
} keys[] = {
#define ESW_KEY(id, field) { FLOW_DISSECTOR_KEY_##id,				\
	offsetof(struct esw_fields, field), sizeof_field(struct esw_fields, field) }
	ESW_KEY(CONTROL, control),
	ESW_KEY(BASIC, basic),
	ESW_KEY(ETH_ADDRS, eth),
	ESW_KEY(VLAN, vlan),
	ESW_KEY(CVLAN, cvlan),
	ESW_KEY(IPV4_ADDRS, ipv4),
	ESW_KEY(IPV6_ADDRS, ipv6),
	ESW_KEY(PORTS, ports),
	ESW_KEY(TCP, tcp),
	ESW_KEY(IP, ip),
	ESW_KEY(ENC_CONTROL, enc_control),
	ESW_KEY(ENC_IPV4_ADDRS, enc_ipv4),
	ESW_KEY(ENC_IPV6_ADDRS, enc_ipv6),
	ESW_KEY(ENC_KEYID, enc_keyid),
	ESW_KEY(ENC_PORTS, enc_ports),
	ESW_KEY(ENC_IP, enc_ip),
#undef ESW_KEY
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
	[FLOW_DISSECTOR_KEY_MPLS] = "mpls",
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

/* What tunnels have put around packets, which esw_tunnel_parse() reads. */
static bool esw_is_tunnel_key(int key)
{
	switch (key) {
	case FLOW_DISSECTOR_KEY_ENC_CONTROL:
	case FLOW_DISSECTOR_KEY_ENC_IPV4_ADDRS:
	case FLOW_DISSECTOR_KEY_ENC_IPV6_ADDRS:
	case FLOW_DISSECTOR_KEY_ENC_KEYID:
	case FLOW_DISSECTOR_KEY_ENC_PORTS:
	case FLOW_DISSECTOR_KEY_ENC_IP:
	case FLOW_DISSECTOR_KEY_ENC_OPTS:
		return true;
	default:
		return false;
	}
}

static int esw_check_keys(struct esw_source *source, struct flow_rule *rule,
			  struct netlink_ext_ack *extack)
{
	const struct esw_upper *upper = esw_upper_of(source);
	bool tunnel = upper && upper->tunnel.kind;
	int i;

	for (i = 0; i < FLOW_DISSECTOR_KEY_MAX; i++) {
		if (!flow_rule_match_key(rule, i) ||
		    dissector_uses_key(&dissector, i) ||
		    i == FLOW_DISSECTOR_KEY_META ||
		    (tunnel && esw_is_tunnel_key(i)))
			continue;
		if (esw_is_tunnel_key(i)) {
			esw_say(extack, "cannot match a tunnel but on the tunnel's own device");
			return -EOPNOTSUPP;
		}
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
	u32 flags = 0;

	if (flow_rule_match_key(rule, FLOW_DISSECTOR_KEY_CONTROL)) {
		flow_rule_match_control(rule, &match);
		flags = match.mask->flags & ~ESW_FRAGMENT_FLAGS;
	}
	if (!flags && flow_rule_match_key(rule, FLOW_DISSECTOR_KEY_ENC_CONTROL)) {
		flow_rule_match_enc_control(rule, &match);
		flags = match.mask->flags;
	}
	if (!flags)
		return 0;
	esw_say(extack, "cannot match flags 0x%x", flags);
	return -EOPNOTSUPP;
}

static int esw_ifindex(struct esw_source *source)
{
	const struct net_device *dev;
	int ifindex;

	rcu_read_lock();
	dev = source->port ? rcu_dereference(source->port->rep) :
			     esw_upper_of(source)->dev;
	ifindex = dev ? dev->ifindex : 0;
	rcu_read_unlock();
	return ifindex;
}

/* The device of a packet is where its rule is, so only that can be named. */
static int esw_check_meta(struct esw_source *source, struct flow_rule *rule,
			  struct netlink_ext_ack *extack)
{
	struct flow_match_meta match;
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
	ifindex = esw_ifindex(source);
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
	const struct flow_match *match = &rule->match;
	int i;

	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		if (!flow_rule_match_key(rule, keys[i].id))
			continue;
		memcpy((void *)key + keys[i].offset,
		       skb_flow_dissector_target(match->dissector, keys[i].id,
						 match->key), keys[i].size);
		memcpy((void *)mask + keys[i].offset,
		       skb_flow_dissector_target(match->dissector, keys[i].id,
						 match->mask), keys[i].size);
	}
	/* the place of the headers says nothing, and padding even less */
	mask->control.thoff = 0;
	mask->basic.padding = 0;
	mask->vlan.padding = 0;
	mask->cvlan.padding = 0;
	mask->enc_control.thoff = 0;
}

/* Options are looked for at the place where the rule has them, and a packet
 * must have as many bytes of them: a NIC's parser may do better.
 */
static int esw_copy_options(struct esw_source *source, struct flow_rule *rule,
			    struct esw_fields *key, struct esw_fields *mask,
			    struct netlink_ext_ack *extack)
{
	struct flow_match_enc_opts match;

	if (!flow_rule_match_key(rule, FLOW_DISSECTOR_KEY_ENC_OPTS))
		return 0;
	flow_rule_match_enc_opts(rule, &match);
	if (!match.mask->len)
		return 0;
	if (esw_upper_of(source)->tunnel.kind != ESW_GENEVE) {
		esw_say(extack, "cannot match options of another tunnel than geneve");
		return -EOPNOTSUPP;
	}
	if (match.key->len > ESW_OPTIONS_MAX) {
		esw_say(extack, "cannot match more than %d bytes of tunnel options",
			ESW_OPTIONS_MAX);
		return -EOPNOTSUPP;
	}
	memcpy(key->enc_options.data, match.key->data, match.key->len);
	memcpy(mask->enc_options.data, match.mask->data, match.key->len);
	key->enc_options.len = match.key->len;
	mask->enc_options.len = 0xff;
	return 0;
}

/* A rule means packets with the VLAN tags that it speaks of, and no more. */
static void esw_exact_tags(struct esw_fields *key, struct esw_fields *mask)
{
	if (!mask->vlan.vlan_tpid) {
		key->vlan.vlan_tpid = 0;
		mask->vlan.vlan_tpid = htons(0xffff);
	} else if (!mask->cvlan.vlan_tpid) {
		key->cvlan.vlan_tpid = 0;
		mask->cvlan.vlan_tpid = htons(0xffff);
	}
}

/* Translates a flower match, or says what cannot be. The key comes back masked. */
int esw_match_parse(struct esw_source *source, struct flow_cls_offload *cls,
		    struct esw_fields *key, struct esw_fields *mask)
{
	struct flow_rule *rule = flow_cls_offload_flow_rule(cls);
	struct netlink_ext_ack *extack = cls->common.extack;
	__be16 protocol = cls->common.protocol;
	int err;

	err = esw_check_keys(source, rule, extack);
	if (!err)
		err = esw_check_control(rule, extack);
	if (!err)
		err = esw_check_meta(source, rule, extack);
	if (err)
		return err;
	memset(key, 0, sizeof(*key));
	memset(mask, 0, sizeof(*mask));
	esw_copy(rule, key, mask);
	err = esw_copy_options(source, rule, key, mask, extack);
	if (err)
		return err;
	esw_exact_tags(key, mask);
	if (!mask->basic.n_proto && protocol != htons(ETH_P_ALL) &&
	    !eth_type_vlan(protocol)) {
		key->basic.n_proto = protocol;
		mask->basic.n_proto = htons(0xffff);
	}
	esw_mask(key, key, mask);
	return 0;
}

/* Reads what begins at the data of a packet. */
static bool esw_dissect(struct sk_buff *skb, struct esw_fields *to)
{
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

/* Reads a packet, whose data begins at its Ethernet header. False for one
 * that cannot be understood though it says that it is IP: it matches no rule.
 */
bool esw_match_packet(struct sk_buff *skb, struct esw_fields *to)
{
	memset(to, 0, sizeof(*to));
	return esw_dissect(skb, to);
}

/* Reads the packet within a packet, and leaves it there; what is around it has
 * been read.
 */
bool esw_match_inner(struct sk_buff *skb, unsigned int outer,
		     struct esw_fields *to)
{
	bool tagged = skb_vlan_tag_present(skb);
	__be16 proto = skb->vlan_proto;
	u16 tci = skb->vlan_tci;
	bool understood;

	if (!pskb_may_pull(skb, outer + ETH_HLEN))
		return false;
	__vlan_hwaccel_clear_tag(skb);
	__skb_pull(skb, outer);
	understood = esw_dissect(skb, to);
	__skb_push(skb, outer);
	if (tagged)
		__vlan_hwaccel_put_tag(skb, proto, tci);
	skb_reset_mac_header(skb);
	skb_set_network_header(skb, ETH_HLEN);
	skb->protocol = eth_hdr(skb)->h_proto;
	return understood;
}
