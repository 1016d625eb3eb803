// SPDX-License-Identifier: GPL-2.0
/* Start and end of the module. */
#include <linux/module.h>
#include <net/net_namespace.h>

#include "eswsim.h"

struct bus_type esw_bus = { .name = "eswsim" };

/* An eswitch ends with the namespace in which it was made. It must be gone
 * before devlink looks at what is left there, and of what is registered, the
 * last is asked first: this comes before devlink's own.
 */
static struct pernet_operations esw_net_ops = {
	.pre_exit = esw_delete_all,
};

static int __init esw_module_init(void)
{
	int err;

	esw_match_init();
	err = esw_rule_module_init();
	if (err)
		return err;
	err = bus_register(&esw_bus);
	if (err)
		goto err_rule;
	err = register_pernet_subsys(&esw_net_ops);
	if (err)
		goto err_bus;
	err = esw_control_init();
	if (err)
		goto err_net;
	return 0;

err_net:
	unregister_pernet_subsys(&esw_net_ops);
err_bus:
	bus_unregister(&esw_bus);
err_rule:
	esw_rule_module_exit();
	return err;
}

static void __exit esw_module_exit(void)
{
	esw_control_stop();
	esw_delete_all(NULL);
	esw_control_exit();
	unregister_pernet_subsys(&esw_net_ops);
	bus_unregister(&esw_bus);
	esw_rule_module_exit();
}

module_init(esw_module_init);
module_exit(esw_module_exit);
MODULE_DESCRIPTION("Model of a switchdev eswitch, for tests");
MODULE_LICENSE("GPL");
