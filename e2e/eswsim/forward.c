// SPDX-License-Identifier: GPL-2.0
/* The way of a packet. All of this runs with bottom halves off. */
#include <linux/if_vlan.h>
#include <linux/ip.h>
#include <linux/sched/clock.h>
#include <linux/skbuff.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "eswsim.h"

/* Between connected eswitches rules can send a packet round and round. */
#define ESW_MAX_HOPS 4

/* The bytes that each segment repeats. */
static unsigned int esw_gso_headers(const struct sk_buff *skb)
{
	const struct skb_shared_info *info = skb_shinfo(skb);
	unsigned int at;
	struct tcphdr buf;
	const struct tcphdr *tcp;

	if (skb->encapsulation)
		at = skb_inner_transport_offset(skb);
	else if (skb_transport_header_was_set(skb))
		at = skb_transport_offset(skb);
	else
		return 0;
	if (!(info->gso_type & (SKB_GSO_TCPV4 | SKB_GSO_TCPV6)))
		return at + sizeof(struct udphdr);
	tcp = skb_header_pointer(skb, at, sizeof(buf), &buf);
	return tcp ? at + __tcp_hdrlen(tcp) : 0;
}

void esw_size(const struct sk_buff *skb, struct esw_size *size)
{
	const struct skb_shared_info *info = skb_shinfo(skb);
	unsigned int headers;

	size->packets = 1;
	size->bytes = skb->len;
	if (skb_is_gso(skb)) {
		headers = esw_gso_headers(skb);
		size->packets = info->gso_segs;
		/* what came from a guest may not say how many */
		if (!size->packets && skb->len > headers)
			size->packets = DIV_ROUND_UP(skb->len - headers,
						     info->gso_size);
		size->packets = max(size->packets, 1U);
		size->bytes += (size->packets - 1) * headers;
	}
	if (skb_vlan_tag_present(skb))
		size->bytes += size->packets * VLAN_HLEN;
}

static void esw_count_rx(struct net_device *dev, const struct esw_size *size)
{
	struct pcpu_sw_netstats *stats = this_cpu_ptr(dev->tstats);

	u64_stats_update_begin(&stats->syncp);
	u64_stats_add(&stats->rx_packets, size->packets);
	u64_stats_add(&stats->rx_bytes, size->bytes);
	u64_stats_update_end(&stats->syncp);
}

static void esw_count_dropped(struct esw_port *port, const struct esw_size *size)
{
	this_cpu_add(port->esw->totals->dropped, size->packets);
}

static void esw_drop(struct esw_port *port, struct sk_buff *skb,
		     const struct esw_size *size)
{
	esw_count_dropped(port, size);
	kfree_skb(skb);
}

/* Gives a packet to one end of a port. Nothing of the sender's host goes with
 * it: no mark, no conntrack, no route.
 */
static void esw_deliver(struct esw_port *port, struct net_device *dev,
			struct sk_buff *skb, const struct esw_size *size)
{
	if (!dev) {
		esw_drop(port, skb, size);
		return;
	}
	skb_scrub_packet(skb, true);
	if (esw_netdev_receive(dev, skb))
		esw_count_rx(dev, size);
	else
		esw_count_dropped(port, size);
}

static void esw_in(struct esw_port *port, struct sk_buff *skb,
		   const struct esw_size *size, int hops);

/* A port of a NIC does not send what is longer than its MTU, with two tags. */
static bool esw_fits(const struct esw_port *port, const struct sk_buff *skb)
{
	const struct net_device *rep = rcu_dereference(port->rep);
	unsigned int len = skb->len;

	if (skb_is_gso(skb))
		len = esw_gso_headers(skb) + skb_shinfo(skb)->gso_size;
	return rep && len <= READ_ONCE(rep->mtu) + ETH_HLEN + 2 * VLAN_HLEN;
}

static void esw_out(struct esw_port *port, struct sk_buff *skb,
		    const struct esw_size *size, int hops)
{
	struct esw_port *peer = rcu_dereference(port->peer);

	if (port->uplink && !esw_fits(port, skb))
		esw_drop(port, skb, size);
	else if (!peer)
		esw_deliver(port, rcu_dereference(port->far), skb, size);
	else if (hops < ESW_MAX_HOPS)
		esw_in(peer, skb, size, hops + 1);
	else
		esw_drop(port, skb, size);
}

static void esw_count_rule(struct esw_rule *rule, const struct esw_size *size)
{
	struct esw_count *count = &rule->cpu[smp_processor_id()].count;

	WRITE_ONCE(count->packets, count->packets + size->packets);
	WRITE_ONCE(count->bytes, count->bytes + size->bytes);
	WRITE_ONCE(count->used, jiffies);
}

/* To a target as it is now; it has been made longer or shorter, maybe. */
static void esw_to(struct esw_port *from, const struct esw_target *target,
		   struct sk_buff *skb, int hops)
{
	struct esw_port *to = esw_target_port(from->esw, skb, target);
	struct esw_size size;

	esw_size(skb, &size);
	if (to)
		esw_out(to, skb, &size, hops);
	else
		esw_drop(from, skb, &size);
}

static int esw_step_run(struct sk_buff **skb, const struct esw_rule *rule,
			const struct esw_step *step, const struct esw_path *path)
{
	switch (step->kind) {
	case ESW_PUSH:
	case ESW_POP:
	case ESW_RETAG:
		return esw_vlan_run(*skb, step);
	case ESW_EDIT:
		return esw_edit_run(*skb, &step->edit);
	case ESW_DECAP:
		return esw_tunnel_decap(*skb, &esw_upper_of(rule->id.source)->tunnel);
	case ESW_ENCAP:
		return esw_encap_run(skb, rule->encap, path);
	default:
		return -EINVAL;
	}
}

/* Does the steps of a rule, of which the last is an output. */
static void esw_run(struct esw_port *port, const struct esw_rule *rule,
		    struct sk_buff *skb, const struct esw_path *path,
		    const struct esw_size *size, int hops)
{
	const struct esw_step *step = rule->steps;
	const struct esw_step *last = step + rule->nr_steps - 1;

	for (; step < last; step++) {
		struct sk_buff *copy;

		if (step->kind != ESW_OUTPUT) {
			if (!esw_step_run(&skb, rule, step, path))
				continue;
			esw_count_dropped(port, size);
			kfree_skb(skb);
			return;
		}
		copy = skb_clone(skb, GFP_ATOMIC);
		if (copy)
			esw_to(port, &step->target, copy, hops);
		else
			esw_count_dropped(port, size);
	}
	esw_to(port, rule->encap ? &path->target : &last->target, skb, hops);
}

/* The tunnel that a packet comes by, the port, the bond: whose rule is first. */
static struct esw_rule *esw_lookup(struct esw_port *port, struct sk_buff *skb)
{
	bool uppers = port->uplink && !list_empty(&port->esw->uppers);
	struct esw_rule *rule = NULL;
	struct esw_fields fields;

	if (uppers)
		rule = esw_upper_lookup_tunnel(port->esw, skb);
	if (rule || (!uppers && list_empty(&port->source.tiers)) ||
	    !esw_match_packet(skb, &fields))
		return rule;
	rule = esw_table_lookup(&port->source, &fields);
	if (!rule && uppers)
		rule = esw_upper_lookup_bond(port, &fields);
	return rule;
}

/* A packet enters the eswitch at a port. */
static void esw_in(struct esw_port *port, struct sk_buff *skb,
		   const struct esw_size *size, int hops)
{
	struct esw_rule *rule = esw_lookup(port, skb);
	struct esw_path path;

	/* a tunnel without a way is the slow path's */
	if (rule && rule->encap &&
	    esw_underlay_find(port->esw, rule->encap, &path, NULL))
		rule = NULL;
	if (rule)
		esw_count_rule(rule, size);
	if (!rule || rule->pass) {
		this_cpu_add(port->esw->totals->misses, size->packets);
		esw_deliver(port, rcu_dereference(port->rep), skb, size);
		return;
	}
	this_cpu_add(port->esw->totals->hits, size->packets);
	if (rule->nr_outputs)
		esw_run(port, rule, skb, &path, size, hops);
	else
		esw_drop(port, skb, size);
}

/* What both ends send: counted by the sender, then on its way. */
static void esw_sent(struct esw_port *port, struct sk_buff *skb, bool far)
{
	u64 took, start = local_clock();
	struct esw_size size;

	rcu_read_lock();
	skb_tx_timestamp(skb);
	esw_size(skb, &size);
	dev_sw_netstats_tx_add(skb->dev, size.packets, size.bytes);
	if (!far)
		esw_out(port, skb, &size, 0);
	else if (rcu_access_pointer(port->peer))
		esw_drop(port, skb, &size);	/* the cable is elsewhere */
	else
		esw_in(port, skb, &size, 0);
	rcu_read_unlock();
	took = local_clock() - start;
	this_cpu_add(port->esw->totals->cpu_ns, took);
	if (!far)
		this_cpu_add(port->esw->totals->cpu_host_ns, took);
}

void esw_from_far(struct esw_port *port, struct sk_buff *skb)
{
	esw_sent(port, skb, true);
}

void esw_from_rep(struct esw_port *port, struct sk_buff *skb)
{
	esw_sent(port, skb, false);
}
