// SPDX-License-Identifier: GPL-2.0
/* Tunnel headers put around packets. */
#include <linux/if_vlan.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/slab.h>
#include <linux/udp.h>
#include <linux/version.h>
#include <net/geneve.h>
#include <net/ip6_checksum.h>
#include <net/ipv6.h>
#include <net/udp.h>
#include <net/vxlan.h>

#include "eswsim.h"

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 10, 0)
#define esw_flag(key, name) test_bit(IP_TUNNEL_##name##_BIT, (key)->tun_flags)
#else
#define esw_flag(key, name) (!!((key)->tun_flags & TUNNEL_##name))
#endif

static void esw_encap_addresses(struct esw_encap *encap,
				const struct ip_tunnel_key *key)
{
	if (encap->ipv6) {
		encap->src = key->u.ipv6.src;
		encap->dst = key->u.ipv6.dst;
	} else {
		encap->src.s6_addr32[0] = key->u.ipv4.src;
		encap->dst.s6_addr32[0] = key->u.ipv4.dst;
	}
}

/* Copies what tc wants; the tunnel's device is told afterwards. */
struct esw_encap *esw_encap_parse(const struct ip_tunnel_info *info,
				  struct netlink_ext_ack *extack)
{
	const struct ip_tunnel_key *key = &info->key;
	struct esw_encap *encap;

	if (info->options_len > ESW_OPTIONS_MAX) {
		esw_say(extack, "cannot set more than %d bytes of tunnel options",
			ESW_OPTIONS_MAX);
		return ERR_PTR(-EOPNOTSUPP);
	}
	if (info->mode & IP_TUNNEL_INFO_BRIDGE) {
		esw_say(extack, "cannot set a bridged tunnel id");
		return ERR_PTR(-EOPNOTSUPP);
	}
	encap = kzalloc(sizeof(*encap), GFP_KERNEL);
	if (!encap)
		return ERR_PTR(-ENOMEM);
	encap->ipv6 = info->mode & IP_TUNNEL_INFO_IPV6;
	esw_encap_addresses(encap, key);
	encap->tunnel.port = key->tp_dst;
	encap->csum = esw_flag(key, CSUM);
	encap->df = esw_flag(key, DONT_FRAGMENT);
	encap->oam = esw_flag(key, OAM);
	encap->tos = key->tos;
	encap->ttl = key->ttl;
	encap->label = key->label;
	encap->vni = htonl((u32)be64_to_cpu(key->tun_id) << 8);
	encap->options.len = info->options_len;
	memcpy(encap->options.data, info + 1, info->options_len);
	return encap;
}

static unsigned int esw_encap_len(const struct esw_encap *encap)
{
	return ETH_HLEN + VLAN_HLEN + sizeof(struct udphdr) +
	       (encap->ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)) +
	       sizeof(struct genevehdr) + encap->options.len;
}

static bool esw_options_critical(const struct esw_options *options)
{
	unsigned int at = 0;

	while (at + sizeof(struct geneve_opt) <= options->len) {
		const struct geneve_opt *opt = (void *)(options->data + at);

		if (opt->type & GENEVE_CRIT_OPT_TYPE)
			return true;
		at += sizeof(*opt) + opt->length * 4;
	}
	return false;
}

static void esw_put_geneve(struct sk_buff *skb, const struct esw_encap *encap)
{
	struct genevehdr *geneve;

	geneve = skb_push(skb, sizeof(*geneve) + encap->options.len);
	memset(geneve, 0, sizeof(*geneve));
	geneve->opt_len = encap->options.len / 4;
	geneve->oam = encap->oam;
	geneve->critical = esw_options_critical(&encap->options);
	geneve->proto_type = htons(ETH_P_TEB);
	memcpy(geneve->vni, &encap->vni, sizeof(geneve->vni));
	memcpy(geneve->options, encap->options.data, encap->options.len);
}

static void esw_put_vxlan(struct sk_buff *skb, const struct esw_encap *encap)
{
	struct vxlanhdr *vxlan = skb_push(skb, sizeof(*vxlan));

	vxlan->vx_flags = VXLAN_HF_VNI;
	vxlan->vx_vni = encap->vni;
}

/* The source port tells the flows within a tunnel apart. */
static void esw_put_udp(struct sk_buff *skb, const struct esw_encap *encap,
			const struct esw_path *path, u32 hash)
{
	struct udphdr *udp = skb_push(skb, sizeof(*udp));

	skb_reset_transport_header(skb);
	udp->source = htons(0xc000 | (hash & 0x3fff));
	udp->dest = encap->tunnel.port;
	udp->len = htons(skb->len);
	udp->check = 0;
	if (encap->ipv6)
		udp6_set_csum(!encap->csum, skb, &path->src, &encap->dst, skb->len);
	else
		udp_set_csum(!encap->csum, skb, path->src.s6_addr32[0],
			     encap->dst.s6_addr32[0], skb->len);
}

static void esw_put_ipv4(struct sk_buff *skb, const struct esw_encap *encap,
			 const struct esw_path *path)
{
	struct iphdr *ip = skb_push(skb, sizeof(*ip));

	memset(ip, 0, sizeof(*ip));
	ip->version = 4;
	ip->ihl = sizeof(*ip) / 4;
	ip->tos = encap->tos;
	ip->tot_len = htons(skb->len);
	ip->frag_off = encap->df ? htons(IP_DF) : 0;
	ip->ttl = path->ttl;
	ip->protocol = IPPROTO_UDP;
	ip->saddr = path->src.s6_addr32[0];
	ip->daddr = encap->dst.s6_addr32[0];
	ip_send_check(ip);
}

static void esw_put_ipv6(struct sk_buff *skb, const struct esw_encap *encap,
			 const struct esw_path *path)
{
	unsigned int len = skb->len;
	struct ipv6hdr *ip = skb_push(skb, sizeof(*ip));

	ip6_flow_hdr(ip, encap->tos, encap->label);
	ip->payload_len = htons(len);
	ip->nexthdr = IPPROTO_UDP;
	ip->hop_limit = path->ttl;
	ip->saddr = path->src;
	ip->daddr = encap->dst;
}

static void esw_put_ethernet(struct sk_buff *skb, const struct esw_encap *encap,
			     const struct esw_path *path)
{
	struct ethhdr *eth = skb_push(skb, sizeof(*eth));

	ether_addr_copy(eth->h_dest, path->dst_mac);
	ether_addr_copy(eth->h_source, path->src_mac);
	eth->h_proto = htons(encap->ipv6 ? ETH_P_IPV6 : ETH_P_IP);
	skb_reset_mac_header(skb);
	skb_set_network_header(skb, ETH_HLEN);
	skb_reset_mac_len(skb);
	skb->protocol = eth->h_proto;
	if (path->tag.proto)
		__vlan_hwaccel_put_tag(skb, path->tag.proto, path->tag.tci);
}

/* Offloads that the sender asked for are for the inner packet from now on. */
static int esw_encap_offloads(struct sk_buff *skb, bool csum)
{
	struct esw_headers at;

	if (skb->encapsulation && skb_is_gso(skb))
		return -EOPNOTSUPP;	/* segments of segments */
	if (!esw_headers_find(skb, &at))
		return -EINVAL;
	skb_reset_mac_header(skb);
	skb_set_network_header(skb, at.network);
	if (at.transport)
		skb_set_transport_header(skb, at.transport);
	skb->encapsulation = 0;
	skb_set_inner_protocol(skb, htons(ETH_P_TEB));
	return iptunnel_handle_offloads(skb, csum ? SKB_GSO_UDP_TUNNEL_CSUM :
						    SKB_GSO_UDP_TUNNEL);
}

/* Puts the tunnel around a packet; the packet may become another one, or NULL. */
int esw_encap_run(struct sk_buff **packet, const struct esw_encap *encap,
		  const struct esw_path *path)
{
	u32 hash = skb_get_hash(*packet);
	struct sk_buff *skb;
	int err;

	if (skb_vlan_tag_present(*packet))
		*packet = __vlan_hwaccel_push_inside(*packet);
	skb = *packet;
	if (!skb)
		return -ENOMEM;
	err = skb_cow_head(skb, esw_encap_len(encap));
	if (!err)
		err = esw_encap_offloads(skb, encap->csum);
	if (err)
		return err;
	if (encap->tunnel.kind == ESW_GENEVE)
		esw_put_geneve(skb, encap);
	else
		esw_put_vxlan(skb, encap);
	esw_put_udp(skb, encap, path, hash);
	if (encap->ipv6)
		esw_put_ipv6(skb, encap, path);
	else
		esw_put_ipv4(skb, encap, path);
	esw_put_ethernet(skb, encap, path);
	skb_clear_hash(skb);
	return 0;
}
