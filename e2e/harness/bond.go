package harness

import "fmt"

// Bond makes links one port of a bridge, as OVS bonds them. Settings are columns of
// the port, e.g. "bond_mode=active-backup".
func (w *World) Bond(bridge, name string, links []*Uplink, settings ...string) {
	w.T.Helper()
	args := []string{"add-bond", bridge, name}
	for _, l := range links {
		args = append(args, l.Dev)
	}
	w.Vsctl(append(args, settings...)...)
}

// ActiveMember is the link of an OVS bond that carries what is bound for nobody in
// particular: the active one of active-backup.
func (w *World) ActiveMember(bond string, links []*Uplink) *Uplink {
	w.T.Helper()
	mac := firstLine(w.Vsctl("get", "port", bond, "bond_active_slave"))
	for _, l := range links {
		if firstLine(w.Vsctl("get", "interface", l.Dev, "mac_in_use")) == mac {
			return l
		}
	}
	w.T.Fatalf("%s: no member has %s", bond, mac)
	return nil
}

// LinuxBond makes links one device, as the kernel bonds them by LACP, and that a port of
// a bridge.
func (w *World) LinuxBond(bridge, name string, links []*Uplink) {
	w.T.Helper()
	batch := fmt.Sprintf("link add %s type bond mode 802.3ad miimon 100 lacp_rate fast\n", name)
	for _, l := range links {
		batch += fmt.Sprintf("link set %s down\nlink set %[1]s master %s\n", l.Dev, name)
	}
	w.Feed(w.T, batch+fmt.Sprintf("link set %s up\n", name), "ip", "-batch", "-")
	w.T.Cleanup(func() { _, _ = w.Try("ip", "link", "del", name) })
	w.Vsctl("add-port", bridge, name)
	w.rulePorts = append(w.rulePorts, name)
}
