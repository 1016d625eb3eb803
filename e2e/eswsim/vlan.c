// SPDX-License-Identifier: GPL-2.0
/* VLAN tags pushed, popped and changed. */
#include <linux/if_vlan.h>

#include "eswsim.h"

/* Without a priority of its own a changed tag keeps the one that it has: tc
 * does not tell "none" from 0.
 */
static int esw_retag(struct sk_buff *skb, const struct esw_tag *tag)
{
	u16 tci;
	int err;

	if (skb_vlan_tag_present(skb)) {
		tci = skb_vlan_tag_get(skb);
		__vlan_hwaccel_clear_tag(skb);
	} else if (eth_type_vlan(skb->protocol)) {
		err = __skb_vlan_pop(skb, &tci);
		if (err)
			return err;
	} else {
		return 0;
	}
	tci = (tci & ~VLAN_VID_MASK) | (tag->tci & VLAN_VID_MASK);
	if (tag->tci & VLAN_PRIO_MASK)
		tci = (tci & ~VLAN_PRIO_MASK) | (tag->tci & VLAN_PRIO_MASK);
	__vlan_hwaccel_put_tag(skb, tag->proto, tci);
	return 0;
}

int esw_vlan_run(struct sk_buff *skb, const struct esw_step *step)
{
	switch (step->kind) {
	case ESW_PUSH:
		return skb_vlan_push(skb, step->tag.proto, step->tag.tci);
	case ESW_POP:
		return skb_vlan_pop(skb);
	default:
		return esw_retag(skb, &step->tag);
	}
}
