// SPDX-License-Identifier: GPL-2.0
/* How tests steer the model: files in debugfs. */
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/nsproxy.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "eswsim.h"

static struct dentry *root;

/* Runs an order that was written to a file as one line of text. */
static ssize_t esw_order(const char __user *from, size_t count,
			 int (*order)(char *text, void *context), void *context)
{
	char *text;
	int err;

	if (count > 256)
		return -EINVAL;
	text = memdup_user_nul(from, count);
	if (IS_ERR(text))
		return PTR_ERR(text);
	err = order(strim(text), context);
	kfree(text);
	return err ? err : count;
}

static bool esw_name_valid(const char *name)
{
	size_t i, n = strlen(name);

	for (i = 0; i < n; i++)
		if (!isalnum(name[i]))
			return false;
	return n > 0 && n <= ESW_NAME_MAX && strcmp(name, "new") &&
	       strcmp(name, "del") && strcmp(name, "connect");
}

static int esw_shape_word(struct esw_shape *shape, char *word)
{
	char *key = strsep(&word, "=");
	u32 *to, most;

	if (!strcmp(key, "vfs")) {
		to = &shape->vfs;
		most = ESW_MAX_VFS;
	} else if (!strcmp(key, "uplinks")) {
		to = &shape->uplinks;
		most = ESW_MAX_UPLINKS;
	} else if (!strcmp(key, "pfs")) {
		to = &shape->pfs;
		most = ESW_MAX_PFS;
	} else {
		return -EINVAL;
	}
	if (!word || kstrtou32(word, 10, to) || *to > most)
		return -EINVAL;
	return 0;
}

/* NAME vfs=N uplinks=M [pfs=P] */
static int esw_order_new(char *text, void *unused)
{
	struct esw_shape shape = { .pfs = 1 };
	char *word = strsep(&text, " ");
	int err;

	if (!esw_name_valid(word))
		return -EINVAL;
	strscpy(shape.name, word, sizeof(shape.name));
	while ((word = strsep(&text, " "))) {
		if (!*word)
			continue;
		err = esw_shape_word(&shape, word);
		if (err)
			return err;
	}
	if (!shape.pfs || shape.vfs + shape.uplinks == 0)
		return -EINVAL;
	return esw_create(current->nsproxy->net_ns, &shape);
}

static int esw_order_del(char *text, void *unused)
{
	return esw_delete(text);
}

/* NAME/J NAME2/K */
static int esw_order_connect(char *text, void *unused)
{
	char a[ESW_NAME_MAX + 1], b[ESW_NAME_MAX + 1];
	u32 i, j;

	if (sscanf(text, "%8[^/]/%u %8[^/]/%u", a, &i, b, &j) != 4)
		return -EINVAL;
	return esw_connect(a, i, b, j);
}

static int esw_order_reset(char *text, void *context)
{
	struct eswitch *esw = context;
	bool report = !strcmp(text, "report");

	if (!strcmp(text, "devices"))
		return esw_ports_again(esw);
	if (!report && strcmp(text, "silent"))
		return -EINVAL;
	mutex_lock(&esw->cmd_lock);
	mutex_lock(&esw->table_lock);
	esw_table_forget(esw, NULL);
	mutex_unlock(&esw->table_lock);
	mutex_unlock(&esw->cmd_lock);
	if (report)
		esw_devlink_report(esw);
	return 0;
}

static int esw_order_refuse_next(char *text, void *context)
{
	struct eswitch *esw = context;

	mutex_lock(&esw->table_lock);
	strscpy(esw->refuse_next, text, sizeof(esw->refuse_next));
	mutex_unlock(&esw->table_lock);
	return 0;
}

#define ESW_ORDER_FILE(name)							\
static ssize_t name##_write(struct file *file, const char __user *from,	\
			    size_t count, loff_t *at)				\
{										\
	return esw_order(from, count, esw_order_##name,				\
			 file_inode(file)->i_private);				\
}										\
static const struct file_operations name##_file = {				\
	.owner = THIS_MODULE,							\
	.open = simple_open,							\
	.write = name##_write,							\
	.llseek = noop_llseek,							\
}

ESW_ORDER_FILE(new);
ESW_ORDER_FILE(del);
ESW_ORDER_FILE(connect);
ESW_ORDER_FILE(reset);
ESW_ORDER_FILE(refuse_next);

static int esw_stats_delay_get(void *context, u64 *ms)
{
	*ms = READ_ONCE(((struct eswitch *)context)->stats_delay_ms);
	return 0;
}

static int esw_stats_delay_set(void *context, u64 ms)
{
	struct eswitch *esw = context;

	if (ms > 3600 * MSEC_PER_SEC)
		return -EINVAL;
	WRITE_ONCE(esw->stats_delay_ms, ms);
	esw_table_poll_soon(esw);
	return 0;
}

DEFINE_DEBUGFS_ATTRIBUTE(stats_delay_file, esw_stats_delay_get,
			 esw_stats_delay_set, "%llu\n");

void esw_control_add(struct eswitch *esw)
{
	struct dentry *dir = debugfs_create_dir(esw->name, root);

	esw->dir = dir;
	debugfs_create_u32("capacity", 0600, dir, &esw->capacity);
	debugfs_create_u32("insert_us", 0600, dir, &esw->insert_us);
	debugfs_create_u32("refuse_permille", 0600, dir, &esw->refuse_permille);
	debugfs_create_file_unsafe("stats_delay_ms", 0600, dir, esw,
				   &stats_delay_file);
	debugfs_create_file("reset", 0200, dir, esw, &reset_file);
	debugfs_create_file("refuse_next", 0200, dir, esw, &refuse_next_file);
	debugfs_create_file("counters", 0400, dir, esw, &esw_counters_fops);
	debugfs_create_file("rules", 0400, dir, esw, &esw_rules_fops);
}

/* Waits until nobody is inside a file. */
void esw_control_remove(struct eswitch *esw)
{
	debugfs_remove_recursive(esw->dir);
}

int esw_control_init(void)
{
	root = debugfs_create_dir("eswsim", NULL);
	if (IS_ERR(root))
		return PTR_ERR(root);
	debugfs_create_file("new", 0200, root, NULL, &new_file);
	debugfs_create_file("del", 0200, root, NULL, &del_file);
	debugfs_create_file("connect", 0200, root, NULL, &connect_file);
	return 0;
}

/* No more orders. The eswitches, which have folders below root, still exist. */
void esw_control_stop(void)
{
	debugfs_lookup_and_remove("new", root);
	debugfs_lookup_and_remove("del", root);
	debugfs_lookup_and_remove("connect", root);
}

void esw_control_exit(void)
{
	debugfs_remove_recursive(root);
}
