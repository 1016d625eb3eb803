// SPDX-License-Identifier: GPL-2.0
/* What tests can see of a rule's match. */
#include <linux/seq_file.h>

#include "eswsim.h"

static void esw_tag_show(struct seq_file *out, const char *name,
			 const struct flow_dissector_key_vlan *key,
			 const struct flow_dissector_key_vlan *mask)
{
	if (!key->vlan_tpid)
		return;
	seq_printf(out, " %s=%u", name, key->vlan_id);
	if (mask->vlan_id != 0xfff)
		seq_printf(out, "/0x%x", mask->vlan_id);
	if (mask->vlan_priority)
		seq_printf(out, " %s_prio=%u", name, key->vlan_priority);
	if (key->vlan_tpid != htons(ETH_P_8021Q))
		seq_printf(out, " %s_tpid=0x%04x", name, ntohs(key->vlan_tpid));
}

static void esw_tunnel_show(struct seq_file *out, const struct esw_fields *key,
			    const struct esw_fields *mask)
{
	if (mask->enc_keyid.keyid)
		seq_printf(out, " enc_key=%u", ntohl(key->enc_keyid.keyid));
	if (key->enc_control.addr_type == FLOW_DISSECTOR_KEY_IPV4_ADDRS)
		seq_printf(out, " enc_src=%pI4/%pI4 enc_dst=%pI4/%pI4",
			   &key->enc_ipv4.src, &mask->enc_ipv4.src,
			   &key->enc_ipv4.dst, &mask->enc_ipv4.dst);
	if (key->enc_control.addr_type == FLOW_DISSECTOR_KEY_IPV6_ADDRS)
		seq_printf(out, " enc_src=%pI6c/%pI6c enc_dst=%pI6c/%pI6c",
			   &key->enc_ipv6.src, &mask->enc_ipv6.src,
			   &key->enc_ipv6.dst, &mask->enc_ipv6.dst);
	if (mask->enc_ports.src)
		seq_printf(out, " enc_sport=%u", ntohs(key->enc_ports.src));
	if (mask->enc_ports.dst)
		seq_printf(out, " enc_dport=%u", ntohs(key->enc_ports.dst));
	if (mask->enc_ip.tos)
		seq_printf(out, " enc_tos=0x%x/0x%x", key->enc_ip.tos,
			   mask->enc_ip.tos);
	if (mask->enc_ip.ttl)
		seq_printf(out, " enc_ttl=%u/0x%x", key->enc_ip.ttl,
			   mask->enc_ip.ttl);
	if (mask->enc_options.len)
		seq_printf(out, " enc_options=%*phN/%*phN",
			   key->enc_options.len, key->enc_options.data,
			   key->enc_options.len, mask->enc_options.data);
}

void esw_match_show(struct seq_file *out, const struct esw_fields *key,
			   const struct esw_fields *mask)
{
	if (mask->basic.n_proto)
		seq_printf(out, " eth_type=0x%04x", ntohs(key->basic.n_proto));
	if (!is_zero_ether_addr(mask->eth.src))
		seq_printf(out, " src_mac=%pM", key->eth.src);
	if (!is_zero_ether_addr(mask->eth.dst))
		seq_printf(out, " dst_mac=%pM", key->eth.dst);
	esw_tag_show(out, "vlan", &key->vlan, &mask->vlan);
	esw_tag_show(out, "cvlan", &key->cvlan, &mask->cvlan);
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
	esw_tunnel_show(out, key, mask);
}
