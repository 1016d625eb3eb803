package harness

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// LogicalPort is a port of the network, for a machine of the node.
type LogicalPort struct {
	*VM
	On *World // whose node the machine is on
	ID string // Neutron's: name of the logical switch port, iface-id of the interface

	o        *OVN
	cfg      VMConfig
	row      string // _uuid of the Logical_Switch_Port
	groups   []*Group
	revision int
}

// AddVM adds a machine to the network whose port is in security groups, and waits
// until it may talk. Without any group it may say nothing, like Neutron's.
func (o *OVN) AddVM(name string, groups ...*Group) *LogicalPort {
	o.w.T.Helper()
	n := &Network{Name: o.Network, o: o}
	return n.AddVM(o.w, name, VMConfig{}, groups...)
}

// AddVM adds a machine like OVN.AddVM, to this network, on any of its nodes. The
// config's Subnet, IfaceID and ExternalIDs are the network's to say.
func (n *Network) AddVM(on *World, name string, cfg VMConfig, groups ...*Group) *LogicalPort {
	o, t := n.o, on.T
	t.Helper()
	p := &LogicalPort{ID: o.uuid(), On: on, o: o, groups: groups, revision: 1}
	cfg.Subnet, cfg.IfaceID, cfg.ExternalIDs = n.Subnet, p.ID, []string{"iface-status=active", "vm-uuid=" + o.uuid()}
	p.cfg, p.VM = cfg, on.AddVM(Integration, name, cfg)
	commands := []string{
		"--id=@p", "create", "logical_switch_port", "name=" + p.ID, "enabled=true", "options:requested-chassis=" + o.host(on),
		"addresses=" + p.addresses(), "port_security=" + p.addresses(),
		`external_ids:neutron\:port_name=` + name, `external_ids:neutron\:device_owner="compute:nova"`, `external_ids:neutron\:network_name=` + n.Name,
		`external_ids:neutron\:cidrs="` + p.IP4.String() + `/24"`, p.securityGroups(), p.nextRevision(),
		"--", "add", "logical_switch", n.Name, "ports", "@p",
		"--", "add", "port_group", dropGroup, "ports", "@p",
	}
	for _, g := range groups {
		commands = append(commands, "--", "add", "port_group", g.Name, "ports", "@p")
	}
	p.row = firstLine(o.Nbctl(append([]string{"--wait=hv", "--"}, commands...)...))
	o.ports = append(o.ports, p)
	p.WaitInstalled()
	return p
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return strings.TrimSpace(line)
}

// addresses is the column of that name, and port_security.
func (p *LogicalPort) addresses() string { return fmt.Sprintf(`"%s %s %s"`, p.MAC, p.IP4, p.IP6) }

func (p *LogicalPort) securityGroups() string {
	var ids []string
	for _, g := range p.groups {
		ids = append(ids, g.ID)
	}
	return `external_ids:neutron\:security_group_ids="` + strings.Join(ids, " ") + `"`
}

func (p *LogicalPort) nextRevision() string {
	p.revision++
	return fmt.Sprintf(`external_ids:neutron\:revision_number="%d"`, p.revision)
}

// WaitInstalled waits until ovn-controller has told that the port's flows are in.
func (p *LogicalPort) WaitInstalled() {
	p.On.T.Helper()
	p.On.Vsctl("wait-until", "interface", p.Rep, "external_ids:ovn-installed=true")
	Within(p.On.T, 20*time.Second, p.Name+" is up", func() error {
		if up := firstLine(p.o.Nbctl("get", "logical_switch_port", p.ID, "up")); up != "true" {
			return fmt.Errorf("up is %s", up)
		}
		return nil
	})
}

// Zone is the conntrack zone that ovn-controller has given the port.
func (p *LogicalPort) Zone() (zone uint16) {
	t := p.On.T
	t.Helper()
	text := p.On.Vsctl("get", "bridge", Integration, "external_ids:ct-zone-"+p.ID)
	if _, err := fmt.Sscanf(strings.TrimSpace(text), `"%d"`, &zone); err != nil {
		t.Fatalf("zone of %s: %v in %q", p.Name, err, text)
	}
	return zone
}

// SetGroups puts the port into these security groups and no others.
func (p *LogicalPort) SetGroups(groups ...*Group) Enforced {
	p.On.T.Helper()
	commands := p.moveTo(groups)
	return p.o.Change(append(commands, "set", "logical_switch_port", p.ID, p.securityGroups(), p.nextRevision())...)
}

// moveTo is the part of a transaction that changes the groups' members.
func (p *LogicalPort) moveTo(groups []*Group) (commands []string) {
	for _, g := range p.groups {
		if !slices.Contains(groups, g) {
			commands = append(commands, "remove", "port_group", g.Name, "ports", p.row, "--")
		}
	}
	for _, g := range groups {
		if !slices.Contains(p.groups, g) {
			commands = append(commands, "add", "port_group", g.Name, "ports", p.row, "--")
		}
	}
	p.groups = groups
	return commands
}

// SecurityOff switches port security off: the port leaves all groups and may do as it
// likes.
func (p *LogicalPort) SecurityOff() Enforced {
	p.On.T.Helper()
	commands := p.moveTo(nil)
	commands = append(commands, "remove", "port_group", dropGroup, "ports", p.row,
		"--", "clear", "logical_switch_port", p.ID, "port_security",
		"--", "set", "logical_switch_port", p.ID, "addresses="+p.addresses()+",unknown", p.securityGroups(), p.nextRevision())
	return p.o.Change(commands...)
}

// SecurityOn undoes SecurityOff, with these groups.
func (p *LogicalPort) SecurityOn(groups ...*Group) Enforced {
	p.On.T.Helper()
	commands := p.moveTo(groups)
	commands = append(commands, "add", "port_group", dropGroup, "ports", p.row,
		"--", "set", "logical_switch_port", p.ID, "addresses="+p.addresses(), "port_security="+p.addresses(), p.securityGroups(), p.nextRevision())
	return p.o.Change(commands...)
}

// Unplug takes the port's interface off the bridge, and returns when that was
// ordered and done.
func (p *LogicalPort) Unplug() Enforced {
	p.On.T.Helper()
	ordered := time.Now()
	p.On.Detach(p.VM)
	return Enforced{ordered, time.Now()}
}

// Plug undoes Unplug.
func (p *LogicalPort) Plug() {
	p.On.T.Helper()
	p.On.Attach(Integration, p.VM, "iface-id="+p.ID, "iface-status=active")
	p.WaitInstalled()
}

// Request says which hosts the port is to be bound at: Host; another one; or while it
// migrates, the two that it leaves and goes to.
func (p *LogicalPort) Request(hosts ...string) Enforced {
	p.On.T.Helper()
	commands := []string{"set", "logical_switch_port", p.ID, `options:requested-chassis="` + strings.Join(hosts, ",") + `"`}
	if len(hosts) > 1 {
		commands = append(commands, "options:activation-strategy=rarp")
	} else {
		commands = append(commands, "--", "remove", "logical_switch_port", p.ID, "options", "activation-strategy")
	}
	return p.o.Change(commands...)
}

// Unbind is Request of another host only. Nobody tells then that it is enforced, since
// no such host is running: it waits until this one has let go.
func (p *LogicalPort) Unbind(host string) Enforced {
	t := p.On.T
	t.Helper()
	e := p.Request(host)
	Within(t, 20*time.Second, p.Name+" is not bound here", func() error {
		if at := firstLine(p.o.Sbctl("--bare", "--columns=chassis", "find", "port_binding", "logical_port="+p.ID)); at != "" {
			return fmt.Errorf("it is at %s", at)
		}
		return nil
	})
	return e
}
