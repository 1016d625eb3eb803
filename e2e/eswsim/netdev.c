// SPDX-License-Identifier: GPL-2.0
/* Net devices: representors, and what they stand for. */
#include <linux/ethtool.h>
#include <linux/if_vlan.h>
#include <linux/rtnetlink.h>
#include <linux/version.h>
#include <net/pkt_cls.h>

#include "eswsim.h"

struct esw_netdev {
	struct esw_port *port;
	struct esw_rx rx;
};

static struct esw_port *esw_port_of(const struct net_device *dev)
{
	return ((struct esw_netdev *)netdev_priv(dev))->port;
}

static struct esw_rx *esw_rx_of(struct net_device *dev)
{
	return &((struct esw_netdev *)netdev_priv(dev))->rx;
}

static int esw_open(struct net_device *dev)
{
	esw_rx_start(esw_rx_of(dev));
	esw_port_link(esw_port_of(dev));
	return 0;
}

static int esw_stop(struct net_device *dev)
{
	esw_rx_stop(esw_rx_of(dev));
	esw_port_link(esw_port_of(dev));
	return 0;
}

/* Nobody sends to the device any more. */
static void esw_uninit(struct net_device *dev)
{
	esw_rx_empty(esw_rx_of(dev));
}

bool esw_netdev_receive(struct net_device *dev, struct sk_buff *skb)
{
	return esw_rx(esw_rx_of(dev), dev, skb);
}

/* A VF's address is kept by the NIC: devlink tells it, and it outlives a reset. */
static int esw_far_address(struct net_device *dev, void *address)
{
	int err = eth_mac_addr(dev, address);

	if (!err)
		ether_addr_copy(esw_port_of(dev)->far_addr, dev->dev_addr);
	return err;
}

static netdev_tx_t esw_rep_xmit(struct sk_buff *skb, struct net_device *dev)
{
	esw_from_rep(esw_port_of(dev), skb);
	return NETDEV_TX_OK;
}

static netdev_tx_t esw_far_xmit(struct sk_buff *skb, struct net_device *dev)
{
	esw_from_far(esw_port_of(dev), skb);
	return NETDEV_TX_OK;
}

/* With rules in, the switch stays on, as with mlx5: tc would believe in them. */
static int esw_set_features(struct net_device *dev, netdev_features_t features)
{
	struct esw_port *port = esw_port_of(dev);

	if (!(features & NETIF_F_HW_TC) && READ_ONCE(port->source.rules)) {
		netdev_err(dev, "%u rules are in, hw-tc-offload stays on\n",
			   READ_ONCE(port->source.rules));
		return -EINVAL;
	}
	return 0;
}

static int esw_setup_tc(struct net_device *dev, enum tc_setup_type type,
			void *data)
{
	if (type != TC_SETUP_BLOCK)
		return -EOPNOTSUPP;
	return esw_flower_block(esw_port_of(dev), data);
}

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
static struct devlink_port *esw_get_devlink_port(struct net_device *dev)
{
	return &esw_port_of(dev)->devlink_port;
}
#endif

/* phys_switch_id and phys_port_name: the kernel takes them from devlink. */
static const struct net_device_ops esw_rep_ops = {
	.ndo_open		= esw_open,
	.ndo_stop		= esw_stop,
	.ndo_uninit		= esw_uninit,
	.ndo_start_xmit		= esw_rep_xmit,
	.ndo_set_features	= esw_set_features,
	.ndo_setup_tc		= esw_setup_tc,
	.ndo_get_stats64	= dev_get_tstats64,
	.ndo_set_mac_address	= eth_mac_addr,
	.ndo_validate_addr	= eth_validate_addr,
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
	.ndo_get_devlink_port	= esw_get_devlink_port,
#endif
};

static const struct net_device_ops esw_far_ops = {
	.ndo_open		= esw_open,
	.ndo_stop		= esw_stop,
	.ndo_uninit		= esw_uninit,
	.ndo_start_xmit		= esw_far_xmit,
	.ndo_get_stats64	= dev_get_tstats64,
	.ndo_set_mac_address	= esw_far_address,
	.ndo_validate_addr	= eth_validate_addr,
};

/* The port of this device if it is a representor of ours, of any eswitch. */
struct esw_port *esw_port_of_rep(const struct net_device *dev)
{
	return dev && dev->netdev_ops == &esw_rep_ops ? esw_port_of(dev) : NULL;
}

/* The uplink of that eswitch whose representor it is, or NULL. */
struct esw_port *esw_port_of_uplink(struct eswitch *esw, const struct net_device *dev)
{
	struct esw_port *port = esw_port_of_rep(dev);

	return port && port->esw == esw && port->uplink ? port : NULL;
}

static void esw_get_drvinfo(struct net_device *dev, struct ethtool_drvinfo *info)
{
	struct esw_port *port = esw_port_of(dev);

	strscpy(info->driver, "eswsim", sizeof(info->driver));
	if (dev->netdev_ops == &esw_rep_ops)
		strscpy(info->bus_info, port->esw->name, sizeof(info->bus_info));
	else
		snprintf(info->bus_info, sizeof(info->bus_info), "%s/%s%u.%u",
			 port->esw->name, port->uplink ? "wire" : "vf",
			 port->pf, port->number);
}

/* LACP bundles only what has a speed. */
static int esw_get_link_ksettings(struct net_device *dev,
				  struct ethtool_link_ksettings *settings)
{
	settings->base.speed = SPEED_25000;
	settings->base.duplex = DUPLEX_FULL;
	settings->base.port = PORT_OTHER;
	return 0;
}

static const struct ethtool_ops esw_ethtool_ops = {
	.get_drvinfo		= esw_get_drvinfo,
	.get_link		= ethtool_op_get_link,
	.get_link_ksettings	= esw_get_link_ksettings,
};

/* Segments and checksums are never made, as between two ends of a veth: a big
 * packet goes through whole and counts as what it stands for.
 */
#define ESW_FEATURES (NETIF_F_SG | NETIF_F_FRAGLIST | NETIF_F_HW_CSUM | \
		      NETIF_F_RXCSUM | NETIF_F_HIGHDMA | NETIF_F_GSO_SOFTWARE | \
		      NETIF_F_GSO_ENCAP_ALL | NETIF_F_HW_VLAN_CTAG_TX)

static void esw_setup(struct net_device *dev)
{
	ether_setup(dev);
	dev->max_mtu = ETH_MAX_MTU;
	dev->priv_flags |= IFF_NO_QUEUE | IFF_LIVE_ADDR_CHANGE;
	dev->priv_flags &= ~IFF_TX_SKB_SHARING;
	dev->features |= ESW_FEATURES;
	dev->hw_features |= ESW_FEATURES;
	dev->hw_enc_features |= ESW_FEATURES;
	dev->vlan_features |= ESW_FEATURES & ~NETIF_F_HW_VLAN_CTAG_TX;
#ifdef NETIF_F_LLTX
	dev->features |= NETIF_F_LLTX;
#else
	dev->lltx = true;
#endif
	dev->pcpu_stat_type = NETDEV_PCPU_STAT_TSTATS;
	dev->ethtool_ops = &esw_ethtool_ops;
	dev->needs_free_netdev = true;
}

static void esw_setup_rep(struct net_device *dev, struct esw_port *port)
{
	dev->netdev_ops = &esw_rep_ops;
	dev->features |= NETIF_F_HW_TC;
	dev->hw_features |= NETIF_F_HW_TC;
	eth_hw_addr_set(dev, port->rep_addr);
	SET_NETDEV_DEV(dev, &port->esw->dev);
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
	SET_NETDEV_DEVLINK_PORT(dev, &port->devlink_port);
#endif
}

struct net_device *esw_netdev_register(struct esw_port *port, bool far,
				       struct net *net, const char *name)
{
	struct net_device *dev;
	int err;

	dev = alloc_netdev(sizeof(struct esw_netdev), name, NET_NAME_USER,
			   esw_setup);
	if (!dev)
		return ERR_PTR(-ENOMEM);
	((struct esw_netdev *)netdev_priv(dev))->port = port;
	dev_net_set(dev, net);
	esw_rx_init(esw_rx_of(dev), dev);
	if (far) {
		dev->netdev_ops = &esw_far_ops;
		eth_hw_addr_set(dev, port->far_addr);
	} else {
		esw_setup_rep(dev, port);
	}
	err = register_netdevice(dev);
	if (err) {
		free_netdev(dev);
		return ERR_PTR(err);
	}
	netif_carrier_off(dev);
	return dev;
}
