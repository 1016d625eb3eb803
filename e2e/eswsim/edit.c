// SPDX-License-Identifier: GPL-2.0
/* Header fields rewritten, with the checksums that know of them. */
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tc_act/tc_csum.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/checksum.h>

#include "eswsim.h"

/* The bits that can be rewritten, by header and word: addresses, TOS, TTL and
 * ports. Only a TTL can be added to.
 */
static u32 esw_editable(enum flow_action_mangle_base header, u32 offset)
{
	switch (header) {
	case FLOW_ACT_MANGLE_HDR_TYPE_ETH:
		return offset <= 8 ? 0xffffffff : 0;
	case FLOW_ACT_MANGLE_HDR_TYPE_IP4:
		return offset == 0 ? 0x00ff0000 :
		       offset == 8 ? 0xff000000 :
		       offset == 12 || offset == 16 ? 0xffffffff : 0;
	case FLOW_ACT_MANGLE_HDR_TYPE_IP6:
		return offset == 0 ? 0x0ff00000 :
		       offset == 4 ? 0x000000ff :
		       offset >= 8 && offset <= 36 ? 0xffffffff : 0;
	case FLOW_ACT_MANGLE_HDR_TYPE_TCP:
	case FLOW_ACT_MANGLE_HDR_TYPE_UDP:
		return offset == 0 ? 0xffffffff : 0;
	default:
		return 0;
	}
}

static bool esw_is_ttl(const struct esw_edit *edit)
{
	return (edit->header == FLOW_ACT_MANGLE_HDR_TYPE_IP4 &&
		edit->offset == 8) ||
	       (edit->header == FLOW_ACT_MANGLE_HDR_TYPE_IP6 &&
		edit->offset == 4);
}

static bool esw_is_address(const struct esw_edit *edit)
{
	return (edit->header == FLOW_ACT_MANGLE_HDR_TYPE_IP4 &&
		edit->offset >= 12) ||
	       (edit->header == FLOW_ACT_MANGLE_HDR_TYPE_IP6 &&
		edit->offset >= 8);
}

/* The match must say that the header is there. */
static const char *esw_edit_unfounded(enum flow_action_mangle_base header,
				      const struct esw_fields *key,
				      const struct esw_fields *mask)
{
	bool exact = mask->basic.ip_proto == 0xff;

	switch (header) {
	case FLOW_ACT_MANGLE_HDR_TYPE_IP4:
		return key->basic.n_proto == htons(ETH_P_IP) ? NULL : "ip";
	case FLOW_ACT_MANGLE_HDR_TYPE_IP6:
		return key->basic.n_proto == htons(ETH_P_IPV6) ? NULL : "ipv6";
	case FLOW_ACT_MANGLE_HDR_TYPE_TCP:
		return exact && key->basic.ip_proto == IPPROTO_TCP ? NULL : "tcp";
	case FLOW_ACT_MANGLE_HDR_TYPE_UDP:
		return exact && key->basic.ip_proto == IPPROTO_UDP ? NULL : "udp";
	default:
		return NULL;
	}
}

/* What a csum action must mend afterwards: without it, software would send
 * packets with wrong sums.
 */
static u32 esw_edit_csum(const struct esw_edit *edit,
			 const struct esw_fields *key,
			 const struct esw_fields *mask)
{
	u32 csum = 0;

	if (edit->header == FLOW_ACT_MANGLE_HDR_TYPE_ETH)
		return 0;
	if (edit->header == FLOW_ACT_MANGLE_HDR_TYPE_IP4)
		csum = TCA_CSUM_UPDATE_FLAG_IPV4HDR;
	if (edit->header == FLOW_ACT_MANGLE_HDR_TYPE_TCP)
		return TCA_CSUM_UPDATE_FLAG_TCP;
	if (edit->header == FLOW_ACT_MANGLE_HDR_TYPE_UDP)
		return TCA_CSUM_UPDATE_FLAG_UDP;
	if (!esw_is_address(edit) || mask->basic.ip_proto != 0xff)
		return csum;
	switch (key->basic.ip_proto) {
	case IPPROTO_TCP:
		return csum | TCA_CSUM_UPDATE_FLAG_TCP;
	case IPPROTO_UDP:
		return csum | TCA_CSUM_UPDATE_FLAG_UDP;
	case IPPROTO_ICMPV6:
		return csum | TCA_CSUM_UPDATE_FLAG_ICMP;
	default:
		return csum;
	}
}

/* Translates one word of tc's pedit; adds what has to be summed anew to csum. */
int esw_edit_parse(const struct flow_action_entry *entry,
		   const struct esw_fields *key, const struct esw_fields *mask,
		   struct esw_edit *edit, u32 *csum,
		   struct netlink_ext_ack *extack)
{
	u32 offset = entry->mangle.offset;
	const char *unfounded;
	u32 bits;

	bits = ntohl((__force __be32)~entry->mangle.mask);
	if (offset % 4 || bits & ~esw_editable(entry->mangle.htype, offset)) {
		esw_say(extack, "cannot rewrite bits 0x%x at %u of header %u",
			bits, offset, entry->mangle.htype);
		return -EOPNOTSUPP;
	}
	unfounded = esw_edit_unfounded(entry->mangle.htype, key, mask);
	if (unfounded) {
		esw_say(extack, "cannot rewrite %s without matching it", unfounded);
		return -EOPNOTSUPP;
	}
	edit->header = entry->mangle.htype;
	edit->offset = offset;
	edit->add = entry->id == FLOW_ACTION_ADD;
	edit->keep = entry->mangle.mask;
	edit->value = entry->mangle.val;
	if (edit->add && !esw_is_ttl(edit)) {
		esw_say(extack, "cannot add to anything but a TTL");
		return -EOPNOTSUPP;
	}
	*csum |= esw_edit_csum(edit, key, mask);
	return 0;
}

/* Mends the sum of the transport header, if there is one; pseudo says that the
 * change was in an address.
 */
static void esw_transport_sum(struct sk_buff *skb, const struct esw_headers *at,
			      __be32 from, __be32 to, bool pseudo)
{
	void *header = skb->data + at->transport;
	struct udphdr *udp = header;

	if (at->later)
		return;
	switch (at->ip_proto) {
	case IPPROTO_TCP:
		inet_proto_csum_replace4(&((struct tcphdr *)header)->check, skb,
					 from, to, pseudo);
		break;
	case IPPROTO_UDP:
		if (!udp->check && skb->ip_summed != CHECKSUM_PARTIAL)
			break;	/* the sender made none */
		inet_proto_csum_replace4(&udp->check, skb, from, to, pseudo);
		if (!udp->check)
			udp->check = CSUM_MANGLED_0;
		break;
	case IPPROTO_ICMPV6:
		if (pseudo)	/* the sum is behind type and code */
			inet_proto_csum_replace4(header + 2, skb, from, to, true);
		break;
	}
}

/* How much of a packet must be ours to change it: through the sums. */
static unsigned int esw_edit_reach(const struct esw_headers *at,
				   unsigned int end)
{
	if (at->later || !at->transport)
		return end;
	switch (at->ip_proto) {
	case IPPROTO_TCP:
		return max_t(unsigned int, end,
			     at->transport + sizeof(struct tcphdr));
	case IPPROTO_UDP:
		return max_t(unsigned int, end,
			     at->transport + sizeof(struct udphdr));
	case IPPROTO_ICMPV6:
		return max_t(unsigned int, end, at->transport + 4);
	default:
		return end;
	}
}

static unsigned int esw_edit_at(const struct esw_edit *edit,
				const struct esw_headers *at)
{
	switch (edit->header) {
	case FLOW_ACT_MANGLE_HDR_TYPE_ETH:
		return edit->offset;
	case FLOW_ACT_MANGLE_HDR_TYPE_TCP:
	case FLOW_ACT_MANGLE_HDR_TYPE_UDP:
		return at->transport + edit->offset;
	default:
		return at->network + edit->offset;
	}
}

static void esw_edit_sums(struct sk_buff *skb, const struct esw_edit *edit,
			  const struct esw_headers *at, __be32 from, __be32 to)
{
	struct iphdr *ip = (struct iphdr *)(skb->data + at->network);

	switch (edit->header) {
	case FLOW_ACT_MANGLE_HDR_TYPE_IP4:
		csum_replace4(&ip->check, from, to);
		break;
	case FLOW_ACT_MANGLE_HDR_TYPE_TCP:
	case FLOW_ACT_MANGLE_HDR_TYPE_UDP:
		esw_transport_sum(skb, at, from, to, false);
		break;
	default:
		break;
	}
	if (esw_is_address(edit))
		esw_transport_sum(skb, at, from, to, true);
}

/* As in software a word is taken in the order of the wire and added to in the
 * processor's, a carry being lost with the bits that are kept.
 */
int esw_edit_run(struct sk_buff *skb, const struct esw_edit *edit)
{
	struct esw_headers at;
	unsigned int place;
	u32 from, to;
	int err;

	if (!esw_headers_find(skb, &at))
		return -EINVAL;
	place = esw_edit_at(edit, &at);
	err = skb_ensure_writable(skb, esw_edit_reach(&at, place + 4));
	if (err)
		return err;
	if (skb->ip_summed == CHECKSUM_COMPLETE)
		skb->ip_summed = CHECKSUM_NONE;
	memcpy(&from, skb->data + place, 4);
	to = edit->add ? (from + edit->value) & ~edit->keep : edit->value;
	to ^= from & edit->keep;
	memcpy(skb->data + place, &to, 4);
	esw_edit_sums(skb, edit, &at, (__force __be32)from, (__force __be32)to);
	return 0;
}
