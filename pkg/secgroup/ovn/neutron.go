package ovn

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// neutronPort is what a database says of a port that Neutron may have made.
type neutronPort struct {
	ids       map[string]string // its external_ids
	secured   bool              // port security is on
	groups    []secgroup.GroupID
	group     func(portGroup string) secgroup.GroupID
	dropGroup string
	drops     bool // the drop group drops all in both directions
}

// anomaly says what is not as Neutron makes it: a port with port security is in the drop
// group, and in the port group of each of its security groups. Empty: nothing.
func anomaly(p neutronPort) string {
	if !isNeutrons(p.ids) {
		return ""
	}
	in := func(name string) bool { return slices.Contains(p.groups, p.group(name)) }
	switch {
	case p.secured && !in(p.dropGroup):
		return fmt.Sprintf("it has port security and is not in port group %s", p.dropGroup)
	case in(p.dropGroup) && !p.drops:
		return fmt.Sprintf("port group %s has no ACLs that drop everything", p.dropGroup)
	}
	for _, id := range strings.Fields(p.ids["neutron:security_group_ids"]) {
		if !in(neutronGroup(id)) {
			return fmt.Sprintf("it has security group %.64s and is not in port group %.64s", id, neutronGroup(id))
		}
	}
	return ""
}

func isNeutrons(ids map[string]string) bool {
	for key := range ids {
		if strings.HasPrefix(key, "neutron:") {
			return true
		}
	}
	return false
}

// neutronOwner says whose a port of Neutron's is (get_external_ids_from_port in its
// ovn_client.py). Neither database has the names of projects or groups.
func neutronOwner(ids map[string]string) (o secgroup.Owner) {
	if project, there := ids["neutron:project_id"]; there {
		o.Tenant = namesOf([]string{project})
	}
	if groups, there := ids["neutron:security_group_ids"]; there {
		o.Groups = namesOf(strings.Fields(groups))
	}
	return o
}

// namesOf returns what is known by ids alone. What does not exist has no name either.
func namesOf(ids []string) secgroup.Names {
	ids = slices.DeleteFunc(ids, func(id string) bool { return id == "" })
	slices.Sort(ids)
	return secgroup.Names{List: slices.Compact(ids), IDs: true, Named: len(ids) == 0}
}
