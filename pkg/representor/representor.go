package representor

import (
	"fmt"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/devlink"
)

// Function says what a representor stands for. The zero value says that nothing tells.
type Function struct {
	Flavour    devlink.Flavour // Physical, PCIPF, PCIVF, PCISF
	Controller uint32          // 0: the one that the NIC is in
	External   bool            // the function is another host's, as those of a smart NIC's are
	PF         uint16
	HasPF      bool   // PF is known
	VF         uint16 // of PCIVF
	SF         uint32 // of PCISF
	Number     uint32 // of Physical: of the connector
}

// String returns a short name: "pf0vf3", "c1pf0vf3", "pf0sf88", "pf0", "uplink p0", or
// "vf3" where nothing tells of which PF. It is empty for the zero value.
func (f Function) String() string {
	var name string
	if f.Controller > 0 {
		name = fmt.Sprintf("c%d", f.Controller)
	}
	if f.HasPF {
		name += fmt.Sprintf("pf%d", f.PF)
	}
	switch f.Flavour {
	case devlink.Physical:
		return fmt.Sprintf("uplink p%d", f.Number)
	case devlink.PCIPF:
		return name
	case devlink.PCIVF:
		return name + fmt.Sprintf("vf%d", f.VF)
	case devlink.PCISF:
		return name + fmt.Sprintf("sf%d", f.SF)
	default:
		return ""
	}
}

// Representor is a network device that is a port of an eswitch.
type Representor struct {
	Ifindex int32
	Name    string // of the network device
	Eswitch flows.EswitchID
	Function
	Device string // that the eswitch is in, as "pci/0000:03:00.0"; empty where nothing tells
}

// isBare reports whether f comes from a port name that is but a number: others than
// mlx5 mean something else by it.
func (f Function) isBare() bool { return f.Flavour == devlink.PCIVF && !f.HasPF }

// agrees reports whether two functions that are told by different sources can be the
// same: what only one tells is no contradiction.
func (f Function) agrees(g Function) bool {
	if f.Flavour != g.Flavour || f.HasPF && g.HasPF && f.PF != g.PF {
		return false
	}
	switch f.Flavour {
	case devlink.PCIVF:
		return f.VF == g.VF
	case devlink.PCISF:
		return f.SF == g.SF
	case devlink.Physical:
		return f.Number == g.Number
	}
	return true
}

// functionOf returns what devlink says of a port.
func functionOf(p *devlink.Port) (f Function, ok bool) {
	switch p.Flavour {
	case devlink.Physical:
		return Function{Flavour: p.Flavour, Number: p.Number}, true
	case devlink.PCIPF, devlink.PCIVF, devlink.PCISF:
		return Function{Flavour: p.Flavour, Controller: p.Controller, External: p.External,
			PF: p.PF, HasPF: true, VF: p.VF, SF: p.SF}, true
	}
	return Function{}, false
}
