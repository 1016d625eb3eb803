package harness

import (
	"fmt"
	"os"
	"path/filepath"
)

// ClearDropRules, ClearDropMembers and DestroyDropGroup do to the group that denies
// what no other one permits what mishaps have done to it: from then on OVN permits
// everything.
func (o *OVN) ClearDropRules()   { o.w.T.Helper(); o.Change("clear", "port_group", dropGroup, "acls") }
func (o *OVN) ClearDropMembers() { o.w.T.Helper(); o.Change("clear", "port_group", dropGroup, "ports") }
func (o *OVN) DestroyDropGroup() { o.w.T.Helper(); o.Change("destroy", "port_group", dropGroup) }

// RestoreDropGroup makes the group anew, with all ports of the network.
func (o *OVN) RestoreDropGroup() {
	o.w.T.Helper()
	commands := append([]string{"--if-exists", "destroy", "port_group", dropGroup, "--"}, newDropGroup()...)
	for _, p := range o.ports {
		commands = append(commands, "--", "add", "port_group", dropGroup, "ports", p.row)
	}
	o.Change(commands...)
}

// WipeSB replaces the Southbound database by an empty one, which nobody fills until
// RefillSB.
func (o *OVN) WipeSB() {
	o.w.T.Helper()
	o.daemons[northd].Stop()
	o.KillSB()
	if err := os.Remove(filepath.Join(o.dir, sb+".db")); err != nil {
		o.w.T.Fatal(err)
	}
	o.StartSB()
}

// RefillSB undoes WipeSB. An ovn-controller that has seen the empty database may have
// ended by that (23.03): it is started anew.
func (o *OVN) RefillSB() {
	o.w.T.Helper()
	o.startNorthd()
	o.StopController()
	o.StartController()
	for _, p := range o.ports {
		Within(o.w.T, commandLimit, p.Name+" is bound", func() error {
			if up := firstLine(o.Sbctl("--bare", "--columns=up", "find", "port_binding", "logical_port="+p.ID)); up != "true" {
				return fmt.Errorf("up in its binding: %q", up)
			}
			return nil
		})
	}
	o.Sync()
}
