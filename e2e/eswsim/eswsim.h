/* SPDX-License-Identifier: GPL-2.0 */
/* eswsim: a model of a switchdev eswitch, the switch inside a SmartNIC.
 *
 * Locks, outermost first:
 *   control_lock     the list of eswitches, what "new", "del" and "connect" do
 *   again_lock       one reset of the net devices at a time
 *   rtnl             net devices, links, connections
 *   cmd_lock         one command at a time, as in firmware; held for insert_us
 *   table_lock       rules of one eswitch, their totals and its settings
 * Packets take none: they read ports and rules under RCU.
 */
#ifndef ESWSIM_H
#define ESWSIM_H

#include <linux/device.h>
#include <linux/etherdevice.h>
#include <linux/mutex.h>
#include <linux/netdevice.h>
#include <linux/rhashtable.h>
#include <linux/workqueue.h>
#include <net/devlink.h>
#include <net/flow_offload.h>
#include <net/ip_tunnels.h>

#define ESW_NAME_MAX	8
#define ESW_MAX_VFS	256
#define ESW_MAX_UPLINKS	8
#define ESW_MAX_PFS	4
#define ESW_MAX_OUTPUTS	16
#define ESW_MAX_INSERT_US 1000000U /* rtnl may wait for a command */
#define ESW_TEXT_MAX	80
#define ESW_OPTIONS_MAX	64	/* bytes of a tunnel's options */

struct eswitch;
struct esw_port;

struct esw_options {
	u8 data[ESW_OPTIONS_MAX];
	u8 len;
};

/* What a rule can match; what a packet does not have is zero. */
struct esw_fields {
	struct flow_dissector_key_control control;
	struct flow_dissector_key_basic basic;
	struct flow_dissector_key_eth_addrs eth;
	struct flow_dissector_key_vlan vlan;
	struct flow_dissector_key_vlan cvlan;
	union {
		struct flow_dissector_key_ipv4_addrs ipv4;
		struct flow_dissector_key_ipv6_addrs ipv6;
	};
	struct flow_dissector_key_ports ports;
	struct flow_dissector_key_tcp tcp;
	struct flow_dissector_key_ip ip;
	/* what a tunnel has put around it */
	struct flow_dissector_key_control enc_control;
	union {
		struct flow_dissector_key_ipv4_addrs enc_ipv4;
		struct flow_dissector_key_ipv6_addrs enc_ipv6;
	};
	struct flow_dissector_key_keyid enc_keyid;
	struct flow_dissector_key_ports enc_ports;
	struct flow_dissector_key_ip enc_ip;
	struct esw_options enc_options;
} __aligned(8);

/* Where rules are: at a port, or at a net device of the host that stands on
 * uplinks.
 */
struct esw_source {
	struct eswitch *esw;
	struct esw_port *port;		/* NULL: it is an upper's */
	struct list_head tiers;
	u32 rules;
};

/* The rules of a source that share priority and mask. */
struct esw_tier {
	struct list_head list;		/* in source->tiers, best priority first */
	u32 prio;
	u32 rules;
	struct esw_fields mask;
	struct rcu_head rcu;
};

struct esw_key {
	struct esw_tier *tier;
	struct esw_fields fields;	/* masked */
};

struct esw_count {
	u64 packets;
	u64 bytes;
	u64 used;			/* jiffies, 0: never */
};

struct esw_cpu_count {
	struct esw_count count;
} ____cacheline_aligned_in_smp;

/* tc names a filter by a cookie; a shared block uses one on many ports. */
struct esw_rule_id {
	struct esw_source *source;
	unsigned long cookie;
};

enum esw_tunnel_kind {
	ESW_NO_TUNNEL,
	ESW_VXLAN,
	ESW_GENEVE,
};

struct esw_tunnel {
	enum esw_tunnel_kind kind;
	__be16 port;			/* of UDP */
};

/* A net device of the host on whose ingress there are rules for packets that
 * arrive at uplinks: a tunnel, or a bond.
 */
struct esw_upper {
	struct esw_source source;
	struct list_head list;		/* in eswitch->uppers */
	struct net_device *dev;		/* lives longer than its block */
	struct esw_tunnel tunnel;	/* of no kind: a bond */
	struct rcu_head rcu;
};

/* A port, or that port of a bond which is to send. */
struct esw_target {
	struct esw_port *port;
	int bond;			/* ifindex, if there is no port */
};

struct esw_tag {
	__be16 proto;
	u16 tci;
};

/* Changes the bits of a word of a header that are not to be kept. */
struct esw_edit {
	enum flow_action_mangle_base header;
	u8 offset;
	bool add;
	u32 keep;			/* in the order of the wire, as value */
	u32 value;
};

enum esw_step_kind {
	ESW_OUTPUT,
	ESW_PUSH,
	ESW_POP,
	ESW_RETAG,
	ESW_EDIT,
	ESW_DECAP,
	ESW_ENCAP,
};

struct esw_step {
	enum esw_step_kind kind;
	union {
		struct esw_target target;
		struct esw_tag tag;
		struct esw_edit edit;
	};
};

/* What a tunnel puts around packets, but for what routes say. */
struct esw_encap {
	struct esw_tunnel tunnel;
	bool ipv6;
	bool csum;
	bool df;
	bool oam;
	u8 tos;
	u8 ttl;				/* 0: as the route says */
	__be32 label;
	__be32 vni;			/* in the upper 24 bits */
	struct in6_addr src;		/* an IPv4 address is in the first word */
	struct in6_addr dst;
	struct esw_options options;
};

struct esw_rule {
	struct rhlist_head by_key;
	struct esw_key key;
	struct rhash_head by_id;
	struct esw_rule_id id;
	struct list_head list;		/* in eswitch->rules */
	struct rcu_head rcu;

	bool pass;			/* to the representor, as if missed */
	u8 nr_outputs;			/* none and no pass: drop */
	u32 nr_steps;
	struct esw_step *steps;		/* the last is an output */
	struct esw_encap *encap;	/* for ESW_ENCAP and the output behind it */

	struct esw_count seen;		/* when the counters were last polled */
	struct esw_count told;		/* what tc knows */
	struct esw_cpu_count cpu[];	/* one for each possible CPU */
};

/* One port of the eswitch: the host's end is the representor; the far end is
 * the VF's own net device, or the wire of an uplink.
 */
struct esw_port {
	struct eswitch *esw;
	u32 index;			/* devlink's */
	bool uplink;
	u16 pf;
	u16 number;			/* of the uplink, or of the VF in its PF */
	u8 far_addr[ETH_ALEN];
	u8 rep_addr[ETH_ALEN];
	char rep_name[IFNAMSIZ];
	char far_name[IFNAMSIZ];
	struct net_device __rcu *rep;
	struct net_device __rcu *far;
	struct esw_port __rcu *peer;	/* the uplink at the wire's other end */
	struct esw_source source;
	struct list_head block_cbs;
	struct devlink_port devlink_port;
	bool devlink_registered;
};

struct esw_cpu_totals {
	u64 hits;
	u64 misses;
	u64 dropped;
	u64 cpu_ns;
	u64 cpu_host_ns;		/* of that: for what the host sent */
};

struct eswitch {
	struct list_head list;
	char name[ESW_NAME_MAX + 1];
	struct net *net;		/* dies before it: see main.c */
	struct device dev;
	struct completion *released;
	struct devlink *devlink;
	struct devlink_health_reporter *reporter;
	struct netdev_phys_item_id switch_id;
	struct dentry *dir;

	struct mutex again_lock;
	struct mutex cmd_lock;
	struct mutex table_lock;
	struct rhltable by_key;
	struct rhashtable by_id;
	struct list_head rules;
	struct list_head uppers;
	struct list_head upper_cbs;	/* their blocks, as tc has them */
	struct delayed_work poll;

	u32 capacity;
	u32 insert_us;
	u32 refuse_permille;
	u32 stats_delay_ms;
	char refuse_next[ESW_TEXT_MAX];

	u32 nr_rules;
	u64 adds, dels, refused, full, lost;
	struct esw_cpu_totals __percpu *totals;

	u32 nr_ports;
	struct esw_port ports[];
};

/* What a packet is on a wire: a GSO packet is many. */
struct esw_size {
	u32 packets;
	u32 bytes;
};

/* main.c */
extern struct bus_type esw_bus;

/* eswitch.c */
struct esw_shape {
	char name[ESW_NAME_MAX + 1];
	u32 vfs, uplinks, pfs;
};

int esw_create(struct net *net, const struct esw_shape *shape);
int esw_delete(const char *name);
void esw_delete_all(struct net *net);
int esw_connect(const char *a, u32 i, const char *b, u32 j);

/* control.c */
int esw_control_init(void);
void esw_control_stop(void);
void esw_control_exit(void);
void esw_control_add(struct eswitch *esw);
void esw_control_remove(struct eswitch *esw);

/* show.c */
struct seq_file;
extern const struct file_operations esw_counters_fops;
extern const struct file_operations esw_rules_fops;

/* show_match.c, show_action.c */
void esw_match_show(struct seq_file *out, const struct esw_fields *key,
		    const struct esw_fields *mask);
void esw_port_show(struct seq_file *out, const struct esw_port *port);
void esw_action_show(struct seq_file *out, const struct esw_rule *rule);

/* port.c */
void esw_ports_init(struct eswitch *esw, const struct esw_shape *shape);
int esw_ports_up(struct eswitch *esw);
void esw_ports_down(struct eswitch *esw);
int esw_ports_again(struct eswitch *esw);
void esw_port_link(struct esw_port *port);
int esw_port_connect(struct esw_port *a, struct esw_port *b);

/* netdev.c */
struct net_device *esw_netdev_register(struct esw_port *port, bool far,
				       struct net *net, const char *name);
bool esw_netdev_receive(struct net_device *dev, struct sk_buff *skb);
struct esw_port *esw_port_of_rep(const struct net_device *dev);
struct esw_port *esw_port_of_uplink(struct eswitch *esw, const struct net_device *dev);

/* receive.c */
struct esw_rx {
	struct napi_struct napi;
	struct sk_buff_head ring;
};

void esw_rx_init(struct esw_rx *rx, struct net_device *dev);
void esw_rx_start(struct esw_rx *rx);
void esw_rx_stop(struct esw_rx *rx);
void esw_rx_empty(struct esw_rx *rx);
bool esw_rx(struct esw_rx *rx, struct net_device *dev, struct sk_buff *skb);

/* forward.c */
void esw_from_far(struct esw_port *port, struct sk_buff *skb);
void esw_from_rep(struct esw_port *port, struct sk_buff *skb);
void esw_size(const struct sk_buff *skb, struct esw_size *size);

/* match.c */
void esw_match_init(void);
int esw_match_parse(struct esw_source *source, struct flow_cls_offload *cls,
		    struct esw_fields *key, struct esw_fields *mask);
bool esw_match_packet(struct sk_buff *skb, struct esw_fields *fields);
bool esw_match_inner(struct sk_buff *skb, unsigned int outer,
		     struct esw_fields *fields);

static inline void esw_mask(struct esw_fields *to, const struct esw_fields *from,
			    const struct esw_fields *mask)
{
	const u64 *f = (const u64 *)from, *m = (const u64 *)mask;
	u64 *t = (u64 *)to;
	size_t i;

	for (i = 0; i < sizeof(*to) / sizeof(*t); i++)
		t[i] = f[i] & m[i];
}

/* action.c: rule->key and mask are parsed before */
int esw_action_parse(struct esw_source *source, struct flow_cls_offload *cls,
		     struct esw_rule *rule, const struct esw_fields *mask);

/* vlan.c */
int esw_vlan_run(struct sk_buff *skb, const struct esw_step *step);

/* edit.c */
int esw_edit_parse(const struct flow_action_entry *entry,
		   const struct esw_fields *key, const struct esw_fields *mask,
		   struct esw_edit *edit, u32 *csum, struct netlink_ext_ack *extack);
int esw_edit_run(struct sk_buff *skb, const struct esw_edit *edit);

/* header.c: where the headers of a packet are, from its data on */
struct esw_headers {
	__be16 proto;			/* of the network header */
	u8 ip_proto;			/* 0: none that has been found */
	bool later;			/* fragment: without a transport header */
	unsigned int network;
	unsigned int transport;		/* 0: none */
};

bool esw_headers_find(struct sk_buff *skb, struct esw_headers *at);

/* tunnel.c */
int esw_tunnel_of(const struct net_device *dev, struct esw_tunnel *tunnel);
unsigned int esw_tunnel_parse(struct sk_buff *skb, const struct esw_tunnel *tunnel,
			      struct esw_fields *fields);
int esw_tunnel_decap(struct sk_buff *skb, const struct esw_tunnel *tunnel);

/* encap.c */
struct esw_path;
struct esw_encap *esw_encap_parse(const struct ip_tunnel_info *info,
				  struct netlink_ext_ack *extack);
int esw_encap_run(struct sk_buff **skb, const struct esw_encap *encap,
		  const struct esw_path *path);

/* underlay.c: how the outer packet leaves the host */
struct esw_path {
	struct esw_target target;
	u8 src_mac[ETH_ALEN];
	u8 dst_mac[ETH_ALEN];
	struct esw_tag tag;		/* without a protocol: none */
	struct in6_addr src;
	u8 ttl;
};

int esw_underlay_find(struct eswitch *esw, const struct esw_encap *encap,
		      struct esw_path *path, struct netlink_ext_ack *extack);

/* bond.c */
bool esw_bond_is_ours(struct eswitch *esw, struct net_device *dev);
int esw_target_parse(struct eswitch *esw, struct net_device *dev,
		     struct esw_target *target, struct netlink_ext_ack *extack);
struct esw_port *esw_target_port(struct eswitch *esw, struct sk_buff *skb,
				 const struct esw_target *target);

/* upper.c */
int esw_uppers_register(struct eswitch *esw);
void esw_uppers_unregister(struct eswitch *esw);
const struct esw_upper *esw_upper_of(const struct esw_source *source);
struct esw_rule *esw_upper_lookup_tunnel(struct eswitch *esw, struct sk_buff *skb);
struct esw_rule *esw_upper_lookup_bond(struct esw_port *port,
				       const struct esw_fields *fields);

/* flower.c */
flow_setup_cb_t esw_flower;
int esw_flower_block(struct esw_port *port, struct flow_block_offload *f);

/* rule.c */
int esw_rule_module_init(void);
void esw_rule_module_exit(void);
struct esw_rule *esw_rule_alloc(void);
void esw_rule_free(struct esw_rule *rule);
void esw_rule_free_soon(struct esw_rule *rule);
struct esw_count esw_rule_count(const struct esw_rule *rule);

/* table.c */
int esw_table_init(struct eswitch *esw);
void esw_table_destroy(struct eswitch *esw);
int esw_table_insert(struct eswitch *esw, struct esw_rule *rule, u32 prio,
		     const struct esw_fields *mask);
void esw_table_remove(struct eswitch *esw, struct esw_rule *rule);
void esw_table_forget(struct eswitch *esw, struct esw_source *source);
struct esw_rule *esw_table_find(struct esw_source *source, unsigned long cookie);
struct esw_rule *esw_table_lookup(struct esw_source *source,
				  const struct esw_fields *fields);
void esw_table_poll_soon(struct eswitch *esw);

/* devlink.c */
int esw_devlink_create(struct eswitch *esw);
int esw_devlink_publish(struct eswitch *esw);
void esw_devlink_hide(struct eswitch *esw);
void esw_devlink_destroy(struct eswitch *esw);
void esw_devlink_netdevs(struct eswitch *esw);
void esw_devlink_no_netdevs(struct eswitch *esw);
void esw_devlink_report(struct eswitch *esw);

/* message.c */
__printf(2, 3)
void esw_say(struct netlink_ext_ack *extack, const char *format, ...);

#endif
