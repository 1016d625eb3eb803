// SPDX-License-Identifier: GPL-2.0
/* The eswitches there are: made, connected, deleted. */
#include <linux/random.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>

#include "eswsim.h"

static DEFINE_MUTEX(control_lock);
static LIST_HEAD(eswitches);

static struct eswitch *esw_find(const char *name)
{
	struct eswitch *esw;

	lockdep_assert_held(&control_lock);
	list_for_each_entry(esw, &eswitches, list)
		if (!strcmp(esw->name, name))
			return esw;
	return NULL;
}

static void esw_release(struct device *dev)
{
	struct eswitch *esw = container_of(dev, struct eswitch, dev);
	struct completion *released = esw->released;

	free_percpu(esw->totals);
	kvfree(esw);
	if (released)
		complete(released);
}

static struct eswitch *esw_alloc(struct net *net, const struct esw_shape *shape)
{
	struct eswitch *esw;

	esw = kvzalloc(struct_size(esw, ports, shape->vfs + shape->uplinks),
		       GFP_KERNEL);
	if (!esw)
		return NULL;
	esw->totals = alloc_percpu(struct esw_cpu_totals);
	if (!esw->totals) {
		kvfree(esw);
		return NULL;
	}
	strscpy(esw->name, shape->name, sizeof(esw->name));
	esw->net = net;
	esw->stats_delay_ms = 500;
	esw->switch_id.id_len = 8;
	get_random_bytes(esw->switch_id.id, esw->switch_id.id_len);
	mutex_init(&esw->again_lock);
	mutex_init(&esw->cmd_lock);
	mutex_init(&esw->table_lock);
	INIT_LIST_HEAD(&esw->rules);
	INIT_LIST_HEAD(&esw->uppers);
	INIT_LIST_HEAD(&esw->upper_cbs);
	device_initialize(&esw->dev);
	esw->dev.bus = &esw_bus;
	esw->dev.release = esw_release;
	esw_ports_init(esw, shape);
	return esw;
}

/* Drops the last reference to the device and waits until it was the last: its
 * release is code of this module.
 */
static void esw_free(struct eswitch *esw)
{
	DECLARE_COMPLETION_ONSTACK(released);

	esw->released = &released;
	put_device(&esw->dev);
	wait_for_completion(&released);
}

static int esw_build(struct eswitch *esw)
{
	int err;

	err = dev_set_name(&esw->dev, "%s", esw->name);
	if (err)
		return err;
	err = esw_table_init(esw);
	if (err)
		return err;
	err = device_add(&esw->dev);
	if (err)
		goto err_table;
	err = esw_devlink_create(esw);
	if (err)
		goto err_device;
	err = esw_ports_up(esw);
	if (err)
		goto err_devlink;
	err = esw_uppers_register(esw);
	if (err)
		goto err_ports;
	err = esw_devlink_publish(esw);
	if (err)
		goto err_uppers;
	esw_control_add(esw);
	return 0;

err_uppers:
	esw_uppers_unregister(esw);
err_ports:
	esw_ports_down(esw);
err_devlink:
	esw_devlink_destroy(esw);
err_device:
	device_del(&esw->dev);
err_table:
	esw_table_destroy(esw);
	return err;
}

int esw_create(struct net *net, const struct esw_shape *shape)
{
	struct eswitch *esw;
	int err = -EEXIST;

	mutex_lock(&control_lock);
	if (esw_find(shape->name))
		goto out;
	err = -ENOMEM;
	esw = esw_alloc(net, shape);
	if (!esw)
		goto out;
	err = esw_build(esw);
	if (err)
		esw_free(esw);
	else
		list_add_tail(&esw->list, &eswitches);
out:
	mutex_unlock(&control_lock);
	return err;
}

/* The order matters: first nobody can give orders any more, then nobody sees
 * devlink's half, then others' net devices are let go of, then its own go, and
 * their filters and packets with them; then nothing points to the rest.
 */
static void esw_destroy(struct eswitch *esw)
{
	esw_control_remove(esw);
	esw_devlink_hide(esw);
	esw_uppers_unregister(esw);
	esw_ports_down(esw);
	esw_devlink_destroy(esw);
	esw_table_destroy(esw);
	device_del(&esw->dev);
	list_del(&esw->list);
	esw_free(esw);
}

int esw_delete(const char *name)
{
	struct eswitch *esw;
	int err = -ENOENT;

	mutex_lock(&control_lock);
	esw = esw_find(name);
	if (esw) {
		esw_destroy(esw);
		err = 0;
	}
	mutex_unlock(&control_lock);
	return err;
}

/* Deletes the eswitches of a namespace, or all for NULL. */
void esw_delete_all(struct net *net)
{
	struct eswitch *esw, *next;

	mutex_lock(&control_lock);
	list_for_each_entry_safe(esw, next, &eswitches, list)
		if (!net || esw->net == net)
			esw_destroy(esw);
	mutex_unlock(&control_lock);
}

static struct esw_port *esw_uplink(const char *name, u32 number)
{
	struct eswitch *esw = esw_find(name);
	u32 i;

	if (!esw)
		return NULL;
	for (i = 0; i < esw->nr_ports; i++)
		if (esw->ports[i].uplink && esw->ports[i].number == number)
			return &esw->ports[i];
	return NULL;
}

int esw_connect(const char *a, u32 i, const char *b, u32 j)
{
	struct esw_port *x, *y;
	int err = -ENOENT;

	mutex_lock(&control_lock);
	x = esw_uplink(a, i);
	y = esw_uplink(b, j);
	if (x && y)
		err = esw_port_connect(x, y);
	mutex_unlock(&control_lock);
	return err;
}
