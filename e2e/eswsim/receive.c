// SPDX-License-Identifier: GPL-2.0
/* How a net device gets its packets: by NAPI, as from a NIC's ring. Whoever wants to
 * know what they cost makes that a thread: /sys/class/net/DEVICE/threaded.
 */
#include <linux/netdevice.h>

#include "eswsim.h"

/* What a ring holds; the rest is dropped, as when nobody takes packets out. */
#define ESW_RING 1024

static int esw_rx_poll(struct napi_struct *napi, int budget)
{
	struct esw_rx *rx = container_of(napi, struct esw_rx, napi);
	struct sk_buff *skb;
	int done = 0;

	while (done < budget && (skb = skb_dequeue(&rx->ring))) {
		netif_receive_skb(skb);
		done++;
	}
	if (done < budget)
		napi_complete_done(napi, done);
	return done;
}

void esw_rx_init(struct esw_rx *rx, struct net_device *dev)
{
	skb_queue_head_init(&rx->ring);
	netif_napi_add(dev, &rx->napi, esw_rx_poll);
}

void esw_rx_start(struct esw_rx *rx)
{
	esw_rx_empty(rx);
	napi_enable(&rx->napi);
}

void esw_rx_stop(struct esw_rx *rx)
{
	napi_disable(&rx->napi);
	esw_rx_empty(rx);
}

/* Also for what was on its way here when it stopped. */
void esw_rx_empty(struct esw_rx *rx)
{
	skb_queue_purge(&rx->ring);
}

/* Gives a device a packet, or drops it and returns false. */
bool esw_rx(struct esw_rx *rx, struct net_device *dev, struct sk_buff *skb)
{
	if (__dev_forward_skb(dev, skb))
		return false;
	if (skb_queue_len_lockless(&rx->ring) >= ESW_RING) {
		dev_core_stats_rx_dropped_inc(dev);
		kfree_skb(skb);
		return false;
	}
	skb_queue_tail(&rx->ring, skb);
	napi_schedule(&rx->napi);
	return true;
}
