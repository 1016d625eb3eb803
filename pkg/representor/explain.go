package representor

import (
	"fmt"
	"strings"

	"github.com/flowshunt/flowshunt/pkg/devlink"
	"github.com/flowshunt/flowshunt/pkg/link"
)

// Refuse says why no hardware would execute rules for what comes in at a network
// device, and what to do about it; "" if it would.
func (s *Set) Refuse(index int32) string {
	l, exists := s.links[index]
	if !exists {
		return "there is no such network device"
	}
	if _, ok := s.Get(index); !ok {
		return s.noRepresentor(l)
	}
	switch l.TC {
	case link.Off:
		return fmt.Sprintf("hw-tc-offload of %s is off: ethtool -K %[1]s hw-tc-offload on", l.Name)
	case link.OffFixed, link.Unsupported:
		return fmt.Sprintf("the driver of %s does not offload tc (hw-tc-offload is %s)", l.Name, l.TC)
	}
	return ""
}

// noRepresentor says what a device is instead.
func (s *Set) noRepresentor(l link.State) string {
	pci := ""
	if l.Parent.Bus == "pci" {
		pci = l.Parent.Name
	}
	if pf, vf, ok := s.sysfs.physical(pci); pci != "" && ok {
		return s.virtualItself(l.Name, pf, vf)
	}
	device := l.Parent.String()
	switch {
	case s.modes[device] == devlink.ModeLegacy:
		return fmt.Sprintf("the eswitch of %s is not in switchdev mode: devlink dev eswitch set %s mode switchdev", l.Name, device)
	case l.SwitchID == "" && pci != "" && s.sysfs.isPhysical(pci):
		return fmt.Sprintf("%s is the physical function %s and no representor (it has no phys_switch_id): "+
			"its eswitch is not in switchdev mode, or cannot be", l.Name, pci)
	}
	if siblings := s.of(device); len(siblings) > 0 {
		return fmt.Sprintf("%s is a device of %s but none of its representors, which are %s", l.Name, device, list(siblings))
	}
	what := ""
	if l.Kind != "" {
		what = " but a " + l.Kind
	}
	return fmt.Sprintf("%s is no representor%s: it has no phys_switch_id", l.Name, what)
}

// virtualItself is for the usual mistake: the VF is a port, and not what represents it.
func (s *Set) virtualItself(name, pf string, vf uint16) string {
	function := "pci/" + pf
	for _, r := range s.of("pci/" + pf) {
		if r.Flavour == devlink.PCIVF && r.VF == vf {
			if r.HasPF {
				function = fmt.Sprintf("pf%d", r.PF)
			}
			return fmt.Sprintf("%s is virtual function %d of %s itself; its representor is %s", name, vf, function, r.Name)
		}
	}
	return fmt.Sprintf("%s is virtual function %d of %s itself, and has no representor here: "+
		"devlink dev eswitch show %[3]s", name, vf, function)
}

// of returns the representors of a device.
func (s *Set) of(device string) (list []Representor) {
	for _, r := range s.All() {
		if device != "" && r.Device == device {
			list = append(list, r)
		}
	}
	return list
}

// list names some of them.
func list(all []Representor) string {
	const most = 4
	var names []string
	for _, r := range all[:min(len(all), most)] {
		name := r.Name
		if f := r.String(); f != "" {
			name += " (" + f + ")"
		}
		names = append(names, name)
	}
	if len(all) > most {
		names = append(names, "...")
	}
	return strings.Join(names, ", ")
}
