package ovn

import (
	"strconv"
	"strings"

	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// Groups of ports are named so that the three kinds cannot meet: a name of a port group
// has no colon (ovn-nb(5)).

// groupOf names the ports of a port group on the logical switch with a tunnel key, as the
// Southbound database does (get_sb_port_group_name in OVN's lib/ovn-util.h).
func groupOf(key int, name string) secgroup.GroupID {
	return secgroup.GroupID(strconv.Itoa(key) + "_" + name)
}

// switchOf names all ports of the logical switch with a tunnel key.
func switchOf(key int) secgroup.GroupID {
	return secgroup.GroupID("switch:" + strconv.Itoa(key))
}

// portOf names a single port on the logical switch with a tunnel key: an ACL of another one
// that names it does not concern it.
func portOf(key int, name string) secgroup.GroupID {
	return secgroup.GroupID("port:" + strconv.Itoa(key) + ":" + name)
}

// neutronGroup returns the name of the port group that Neutron makes of a security group.
func neutronGroup(id string) string { return "pg_" + strings.ReplaceAll(id, "-", "_") }
