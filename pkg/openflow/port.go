package openflow

import (
	"bytes"
	"encoding/binary"
)

var portKinds = [...]Kind{PortAdded, PortDeleted, PortModified}

// portLayout says where the fields of ofp_port_status are, its reason at 0.
type portLayout struct{ size, number, name, config int }

const portNameLen = 16

// layoutOfPort returns the layout of a version: 1.0 has 16-bit port numbers, 1.4
// put the properties behind the state.
func layoutOfPort(v Version) portLayout {
	switch {
	case v == OpenFlow10:
		return portLayout{size: 56, number: 8, name: 16, config: 32}
	case v < OpenFlow14:
		return portLayout{size: 72, number: 8, name: 24, config: 40}
	default:
		return portLayout{size: 48, number: 8, name: 24, config: 40}
	}
}

// parsePortStatus reads the body of an OFPT_PORT_STATUS.
func parsePortStatus(v Version, b []byte) (Change, error) {
	at := layoutOfPort(v)
	if len(b) < at.size {
		return Change{}, malformed("port status")
	}
	if int(b[0]) >= len(portKinds) {
		return Change{}, nil
	}
	name, _, _ := bytes.Cut(b[at.name:at.name+portNameLen], []byte{0})
	port := Port{
		Number: binary.BigEndian.Uint32(b[at.number:]),
		Name:   string(name),
		Config: binary.BigEndian.Uint32(b[at.config:]),
		State:  binary.BigEndian.Uint32(b[at.config+4:]),
	}
	if v == OpenFlow10 {
		port.Number = widePort(binary.BigEndian.Uint16(b[at.number:]))
	}
	return Change{Kind: portKinds[b[0]], Port: port}, nil
}

// groupOrMeter returns the change that an OFPT_REQUESTFORWARD tells: it holds the
// message by which another connection changed groups or meters.
func groupOrMeter(b []byte) Change {
	const groupMod, meterMod = 15, 29
	if len(b) < headerLen {
		return Change{}
	}
	switch b[1] {
	case groupMod:
		return Change{Kind: GroupChanged}
	case meterMod:
		return Change{Kind: MeterChanged}
	}
	return Change{}
}
