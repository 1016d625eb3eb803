// SPDX-License-Identifier: GPL-2.0
/* Where the headers of a packet are. */
#include <linux/if_vlan.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <net/ip.h>
#include <net/ipv6.h>

#include "eswsim.h"

static bool esw_ipv4_find(struct sk_buff *skb, struct esw_headers *at)
{
	const struct iphdr *ip;

	if (!pskb_may_pull(skb, at->network + sizeof(*ip)))
		return false;
	ip = (const struct iphdr *)(skb->data + at->network);
	if (ip->ihl < 5)
		return false;
	at->ip_proto = ip->protocol;
	at->later = ip->frag_off & htons(IP_OFFSET);
	at->transport = at->network + ip->ihl * 4;
	return true;
}

static bool esw_ipv6_find(struct sk_buff *skb, struct esw_headers *at)
{
	const struct ipv6hdr *ip;
	__be16 fragment = 0;
	int transport;

	if (!pskb_may_pull(skb, at->network + sizeof(*ip)))
		return false;
	ip = (const struct ipv6hdr *)(skb->data + at->network);
	at->ip_proto = ip->nexthdr;
	transport = ipv6_skip_exthdr(skb, at->network + sizeof(*ip),
				     &at->ip_proto, &fragment);
	if (transport < 0)
		return false;
	at->transport = transport;
	at->later = fragment & htons(~0x7);
	return true;
}

/* Finds the headers behind Ethernet's, at which the data begins, and behind
 * all VLAN tags. False for a packet that is broken.
 */
bool esw_headers_find(struct sk_buff *skb, struct esw_headers *at)
{
	const struct vlan_hdr *tag;

	memset(at, 0, sizeof(*at));
	if (!pskb_may_pull(skb, ETH_HLEN))
		return false;
	at->proto = ((const struct ethhdr *)skb->data)->h_proto;
	at->network = ETH_HLEN;
	while (eth_type_vlan(at->proto)) {
		if (!pskb_may_pull(skb, at->network + VLAN_HLEN))
			return false;
		tag = (const struct vlan_hdr *)(skb->data + at->network);
		at->proto = tag->h_vlan_encapsulated_proto;
		at->network += VLAN_HLEN;
	}
	if (at->proto == htons(ETH_P_IP))
		return esw_ipv4_find(skb, at);
	if (at->proto == htons(ETH_P_IPV6))
		return esw_ipv6_find(skb, at);
	return true;
}
