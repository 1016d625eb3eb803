package representor

import (
	"cmp"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/devlink"
	"github.com/flowshunt/flowshunt/pkg/link"
)

// Set is what is known of the representors of a host at one moment. The zero value has
// none. It is never changed.
type Set struct {
	links   map[int32]link.State
	ports   map[int32]devlink.Port // by ifindex
	modes   map[string]devlink.Mode
	byIndex map[int32]Representor
	sysfs   Sysfs
}

// Find joins what is known of network devices and of devlink's ports, which it keeps. A
// device with a switch id is a representor, unless its eswitch is known to be in legacy
// mode: the uplink of some NICs has the id even then. What it stands for is told by
// devlink, else by its port name. Where they contradict each other the name counts: it
// came with the device, while devlink's port may be of one that had the ifindex before,
// or has it in another network namespace.
func Find(links map[int32]link.State, d devlink.Snapshot, sysfs Sysfs) *Set {
	s := &Set{links: links, modes: d.Modes, sysfs: sysfs,
		ports: make(map[int32]devlink.Port), byIndex: make(map[int32]Representor)}
	for _, p := range d.Ports {
		if p.Ifindex != 0 {
			s.ports[p.Ifindex] = p
		}
	}
	for index, l := range links {
		if r, ok := s.find(index, l); ok {
			s.byIndex[index] = r
		}
	}
	return s
}

func (s *Set) find(index int32, l link.State) (r Representor, ok bool) {
	if l.SwitchID == "" {
		return r, false
	}
	r = Representor{Ifindex: index, Name: l.Name, Eswitch: l.SwitchID}
	named, isNamed := parseName(l.PortName)
	p, hasPort := s.ports[index]
	told, isTold := functionOf(&p)
	switch {
	case hasPort && (!isTold || !isNamed || named.isBare() || told.agrees(named)):
		r.Device = p.Device
		if isTold {
			r.Function = told
		} else {
			r.Function = named
		}
	default:
		r.Function = named
		// The parent of a representor is the device that made it.
		r.Device = l.Parent.String()
	}
	return r, s.modes[r.Device] != devlink.ModeLegacy
}

// Get returns the representor that a network device is.
func (s *Set) Get(index int32) (Representor, bool) {
	if s == nil {
		return Representor{}, false
	}
	r, ok := s.byIndex[index]
	return r, ok
}

// All returns the representors in the order of their ifindexes.
func (s *Set) All() []Representor {
	if s == nil {
		return nil
	}
	all := make([]Representor, 0, len(s.byIndex))
	for _, r := range s.byIndex {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b Representor) int { return cmp.Compare(a.Ifindex, b.Ifindex) })
	return all
}

// Eswitches returns the eswitches of each device: one, more for a device that reports each
// of its PFs as one.
func (s *Set) Eswitches() map[string][]flows.EswitchID {
	by := make(map[string][]flows.EswitchID)
	for _, r := range s.All() {
		if ids := by[r.Device]; r.Device != "" && !slices.Contains(ids, r.Eswitch) {
			by[r.Device] = append(ids, r.Eswitch)
		}
	}
	return by
}
