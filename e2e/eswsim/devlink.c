// SPDX-License-Identifier: GPL-2.0
/* What devlink shows: the device, its ports and the health of its firmware. */
#include <linux/version.h>

#include "eswsim.h"

#define ESW_BEFORE_6_2 (LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0))

static int esw_mode_get(struct devlink *devlink, u16 *mode)
{
	*mode = DEVLINK_ESWITCH_MODE_SWITCHDEV;
	return 0;
}

static int esw_info_get(struct devlink *devlink, struct devlink_info_req *req,
			struct netlink_ext_ack *extack)
{
#if ESW_BEFORE_6_2
	return devlink_info_driver_name_put(req, "eswsim");
#else
	return 0;
#endif
}

/* The address of a VF, which its representor's owner may ask for. */
static int esw_port_addr(struct devlink_port *devlink_port, u8 *addr, int *len,
			 struct netlink_ext_ack *extack)
{
	struct esw_port *port = container_of(devlink_port, struct esw_port,
					     devlink_port);

	if (port->uplink)
		return -EOPNOTSUPP;
	ether_addr_copy(addr, port->far_addr);
	*len = ETH_ALEN;
	return 0;
}

static const struct devlink_ops esw_devlink_ops = {
	.eswitch_mode_get = esw_mode_get,
	.info_get = esw_info_get,
#if ESW_BEFORE_6_2
	.port_function_hw_addr_get = esw_port_addr,
#endif
};

#if !ESW_BEFORE_6_2
static const struct devlink_port_ops esw_port_ops = {
	.port_fn_hw_addr_get = esw_port_addr,
};
#define devl_port_register(devlink, port, index) \
	devl_port_register_with_ops(devlink, port, index, &esw_port_ops)
#endif

static int esw_port_register(struct esw_port *port)
{
	struct devlink_port_attrs attrs = { .switch_id = port->esw->switch_id };
	int err;

	if (port->uplink) {
		attrs.flavour = DEVLINK_PORT_FLAVOUR_PHYSICAL;
		attrs.phys.port_number = port->number;
	}
	devlink_port_attrs_set(&port->devlink_port, &attrs);
	if (!port->uplink)
		devlink_port_attrs_pci_vf_set(&port->devlink_port, 0, port->pf,
					      port->number, false);
	err = devl_port_register(port->esw->devlink, &port->devlink_port,
				 port->index);
	port->devlink_registered = !err;
	return err;
}

static void esw_ports_unregister(struct eswitch *esw)
{
	u32 i;

	devl_lock(esw->devlink);
	for (i = 0; i < esw->nr_ports; i++)
		if (esw->ports[i].devlink_registered)
			devl_port_unregister(&esw->ports[i].devlink_port);
	devl_unlock(esw->devlink);
}

int esw_devlink_create(struct eswitch *esw)
{
	int err = 0;
	u32 i;

	esw->devlink = devlink_alloc_ns(&esw_devlink_ops, 1, esw->net, &esw->dev);
	if (!esw->devlink)
		return -ENOMEM;
	devl_lock(esw->devlink);
	for (i = 0; i < esw->nr_ports && !err; i++)
		err = esw_port_register(&esw->ports[i]);
	devl_unlock(esw->devlink);
	if (err)
		esw_devlink_destroy(esw);
	return err;
}

/* Real drivers set the device up again here; ours has nothing but rules. */
static int esw_recover(struct devlink_health_reporter *reporter, void *context,
		       struct netlink_ext_ack *extack)
{
	return 0;
}

static const struct devlink_health_reporter_ops esw_reporter_ops = {
	.name = "fw",
	.recover = esw_recover,
};

int esw_devlink_publish(struct eswitch *esw)
{
	esw->reporter = devlink_health_reporter_create(esw->devlink,
						       &esw_reporter_ops, 0, esw);
	if (IS_ERR(esw->reporter)) {
		int err = PTR_ERR(esw->reporter);

		esw->reporter = NULL;
		return err;
	}
	devlink_register(esw->devlink);
	return 0;
}

void esw_devlink_hide(struct eswitch *esw)
{
	devlink_unregister(esw->devlink);
}

void esw_devlink_destroy(struct eswitch *esw)
{
	if (esw->reporter)
		devlink_health_reporter_destroy(esw->reporter);
	esw_ports_unregister(esw);
	devlink_free(esw->devlink);
}

/* Which port has which net device: newer kernels see for themselves. Not under
 * rtnl, which the older ones take when they tell it. Only the caller, who is the
 * only one, unregisters the devices.
 */
void esw_devlink_netdevs(struct eswitch *esw)
{
#if ESW_BEFORE_6_2
	u32 i;

	for (i = 0; i < esw->nr_ports; i++) {
		struct esw_port *port = &esw->ports[i];
		struct net_device *rep = rcu_dereference_protected(port->rep, true);

		if (rep)
			devlink_port_type_eth_set(&port->devlink_port, rep);
	}
#endif
}

void esw_devlink_no_netdevs(struct eswitch *esw)
{
#if ESW_BEFORE_6_2
	u32 i;

	for (i = 0; i < esw->nr_ports; i++)
		devlink_port_type_clear(&esw->ports[i].devlink_port);
#endif
}

void esw_devlink_report(struct eswitch *esw)
{
	devlink_health_report(esw->reporter, "firmware reset, rules are lost", esw);
}
