package datapath

import (
	"context"
	"strconv"

	"golang.org/x/sys/unix"
)

// PortType is a kind of port (enum ovs_vport_type).
type PortType uint32

// The types in the kernel's order. OVS makes tunnels of type Netdev too, on
// devices like vxlan_sys_4789.
const (
	Netdev PortType = 1 + iota
	Internal
	GRE
	VXLAN
	Geneve
)

var portTypes = [...]string{Netdev: "netdev", Internal: "internal", GRE: "gre", VXLAN: "vxlan", Geneve: "geneve"}

// String returns the lower-case name, or the number of a type without one.
func (t PortType) String() string {
	if t > 0 && int(t) < len(portTypes) {
		return portTypes[t]
	}
	return strconv.FormatUint(uint64(t), 10)
}

// Port is a port of the datapath.
type Port struct {
	Number uint32 // that flows have as in_port and output
	Name   string // of the device
	Type   PortType
	// Ifindex is the number of the device in the namespace of the Conn. 0: the kernel
	// does not tell (before Linux 4.15), or the device is in another namespace.
	Ifindex int32
}

// maxPorts is DP_MAX_PORTS (net/openvswitch/datapath.h).
const maxPorts = 1 << 16

// Ports lists the ports of the datapath.
func (c *Conn) Ports(ctx context.Context) (ports []Port, err error) {
	err = c.list(ctx, "list ports", c.port, func() { ports = nil }, func(attributes []byte) error {
		if len(ports) == maxPorts {
			return ErrTooMany
		}
		p, err := decodePort(attributes)
		ports = append(ports, p)
		return err
	})
	if err != nil {
		return nil, err
	}
	return ports, nil
}

// list dumps what a family has of the datapath.
func (c *Conn) list(ctx context.Context, op string, family uint16, begin func(), take func(attributes []byte) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	dp, err := c.find(ctx)
	if err != nil {
		return err
	}
	return c.dump(ctx, op, func(seq uint32) []byte {
		return request(family, unix.NLM_F_DUMP, seq, cmdGet, otherVersion, dp, nil)
	}, begin, func(m *message) error {
		_, attributes, err := m.body()
		if err != nil {
			return err
		}
		return take(attributes)
	})
}

func decodePort(attributes []byte) (p Port, err error) {
	elsewhere, numbered := false, false
	a := attrs{b: attributes, err: &err}
	for a.next() {
		switch a.typ {
		case portNumber:
			p.Number, numbered = a.u32(), true
		case portType:
			p.Type = PortType(a.u32())
		case portName:
			p.Name = a.text()
		case portIfindex:
			p.Ifindex = int32(a.u32())
		case portNetNS:
			elsewhere = true
		}
	}
	if elsewhere {
		p.Ifindex = 0
	}
	if err == nil && (!numbered || p.Name == "") {
		err = &DecodeError{"port without number or name"}
	}
	return p, err
}
