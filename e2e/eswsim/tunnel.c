// SPDX-License-Identifier: GPL-2.0
/* Tunnels: their net devices, and their headers read and taken off. */
#include <linux/if_link.h>
#include <linux/if_vlan.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <net/dsfield.h>
#include <net/geneve.h>
#include <net/netlink.h>
#include <net/rtnetlink.h>
#include <net/vxlan.h>

#include "eswsim.h"

/* Kernels tell a flag by an attribute that is there, or by one that is not 0. */
static bool esw_is_set(const struct sk_buff *told, int type)
{
	const struct nlattr *attr = nla_find((struct nlattr *)told->data,
					     told->len, type);

	return attr && (!nla_len(attr) || nla_get_u8(attr));
}

/* A VXLAN or Geneve device says by itself, as for `ip -d link`, what its port
 * is. Only those are for rules whose packets carry the tunnel's fields.
 */
int esw_tunnel_of(const struct net_device *dev, struct esw_tunnel *tunnel)
{
	bool vxlan = netif_is_vxlan(dev);
	const struct nlattr *port;
	struct sk_buff *told;
	int err = -EOPNOTSUPP;

	if (!vxlan && !netif_is_geneve(dev))
		return -EOPNOTSUPP;
	told = alloc_skb(NLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!told)
		return -ENOMEM;
	if (dev->rtnl_link_ops->fill_info(told, dev))
		goto out;
	port = nla_find((struct nlattr *)told->data, told->len,
			vxlan ? IFLA_VXLAN_PORT : IFLA_GENEVE_PORT);
	if (!port || !esw_is_set(told, vxlan ? IFLA_VXLAN_COLLECT_METADATA :
					       IFLA_GENEVE_COLLECT_METADATA))
		goto out;
	tunnel->kind = vxlan ? ESW_VXLAN : ESW_GENEVE;
	tunnel->port = nla_get_be16(port);
	err = 0;
out:
	kfree_skb(told);
	return err;
}

static void esw_outer_ipv4(const struct iphdr *ip, struct esw_fields *fields)
{
	fields->enc_control.addr_type = FLOW_DISSECTOR_KEY_IPV4_ADDRS;
	fields->enc_ipv4.src = ip->saddr;
	fields->enc_ipv4.dst = ip->daddr;
	fields->enc_ip.tos = ip->tos;
	fields->enc_ip.ttl = ip->ttl;
}

static void esw_outer_ipv6(const struct ipv6hdr *ip, struct esw_fields *fields)
{
	fields->enc_control.addr_type = FLOW_DISSECTOR_KEY_IPV6_ADDRS;
	fields->enc_ipv6.src = ip->saddr;
	fields->enc_ipv6.dst = ip->daddr;
	fields->enc_ip.tos = ipv6_get_dsfield(ip);
	fields->enc_ip.ttl = ip->hop_limit;
}

/* Both give the length of their header, 0 if it is none for us. */
static unsigned int esw_vxlan_parse(struct sk_buff *skb, unsigned int at,
				    struct esw_fields *fields)
{
	const struct vxlanhdr *vxlan;

	if (!pskb_may_pull(skb, at + sizeof(*vxlan)))
		return 0;
	vxlan = (const struct vxlanhdr *)(skb->data + at);
	if (vxlan->vx_flags != VXLAN_HF_VNI)
		return 0;
	fields->enc_keyid.keyid = vxlan_vni(vxlan->vx_vni);
	return sizeof(*vxlan);
}

static unsigned int esw_geneve_parse(struct sk_buff *skb, unsigned int at,
				     struct esw_fields *fields)
{
	const struct genevehdr *geneve;
	unsigned int len;

	if (!pskb_may_pull(skb, at + sizeof(*geneve)))
		return 0;
	geneve = (const struct genevehdr *)(skb->data + at);
	len = geneve->opt_len * 4;
	if (geneve->ver || geneve->oam ||
	    geneve->proto_type != htons(ETH_P_TEB) || len > ESW_OPTIONS_MAX ||
	    !pskb_may_pull(skb, at + sizeof(*geneve) + len))
		return 0;
	geneve = (const struct genevehdr *)(skb->data + at);
	fields->enc_keyid.keyid = htonl(geneve->vni[0] << 16 |
					geneve->vni[1] << 8 | geneve->vni[2]);
	memcpy(fields->enc_options.data, geneve->options, len);
	fields->enc_options.len = len;
	return sizeof(*geneve) + len;
}

/* Finds the ports of a packet that may come out of a tunnel. */
static const struct udphdr *esw_outer_udp(struct sk_buff *skb,
					  struct esw_headers *at)
{
	if (!esw_headers_find(skb, at) || at->ip_proto != IPPROTO_UDP ||
	    at->later || !pskb_may_pull(skb, at->transport + sizeof(struct udphdr)))
		return NULL;
	return (const struct udphdr *)(skb->data + at->transport);
}

/* Reads what a tunnel has put around a packet, and gives its length; 0 if the
 * packet does not come out of this tunnel, or what is around it cannot be read.
 */
unsigned int esw_tunnel_parse(struct sk_buff *skb, const struct esw_tunnel *tunnel,
			      struct esw_fields *fields)
{
	const struct udphdr *udp;
	struct esw_headers at;
	unsigned int len;

	udp = esw_outer_udp(skb, &at);
	if (!udp || udp->dest != tunnel->port)
		return 0;
	memset(fields, 0, sizeof(*fields));
	fields->enc_ports.src = udp->source;
	fields->enc_ports.dst = udp->dest;
	if (at.proto == htons(ETH_P_IP))
		esw_outer_ipv4((struct iphdr *)(skb->data + at.network), fields);
	else
		esw_outer_ipv6((struct ipv6hdr *)(skb->data + at.network), fields);
	at.transport += sizeof(*udp);
	len = tunnel->kind == ESW_VXLAN ?
	      esw_vxlan_parse(skb, at.transport, fields) :
	      esw_geneve_parse(skb, at.transport, fields);
	return len ? at.transport + len : 0;
}

/* Takes off what is around a packet. A sum that was still to be made, if it was
 * the outer one, is not needed any more.
 */
int esw_tunnel_decap(struct sk_buff *skb, const struct esw_tunnel *tunnel)
{
	bool offsets = skb->encapsulation;
	struct esw_fields fields;
	unsigned int len;
	int err;

	len = esw_tunnel_parse(skb, tunnel, &fields);
	if (!len || !pskb_may_pull(skb, len + ETH_HLEN))
		return -EINVAL;
	err = iptunnel_pull_offloads(skb);
	if (err)
		return err;
	if (skb->ip_summed == CHECKSUM_PARTIAL &&
	    skb_checksum_start_offset(skb) < (int)len)
		skb->ip_summed = CHECKSUM_NONE;
	__vlan_hwaccel_clear_tag(skb);
	__skb_pull(skb, len);
	if (offsets)
		skb->transport_header = skb->inner_transport_header;
	skb_reset_mac_header(skb);
	skb_set_network_header(skb, ETH_HLEN);
	skb_reset_mac_len(skb);
	skb->protocol = eth_hdr(skb)->h_proto;
	skb_clear_hash(skb);
	return 0;
}
