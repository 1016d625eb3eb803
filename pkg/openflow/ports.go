package openflow

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
)

const portHeaderLen = 40 // of ofp_port, before its properties

// Ports returns the ports of the bridge.
func (c *Client) Ports(ctx context.Context) ([]Port, error) {
	var ports []Port
	err := c.multipart(ctx, multipartPorts, nil, func(b []byte) error {
		for len(b) > 0 {
			if len(b) < portHeaderLen {
				return malformed("port")
			}
			size := int(binary.BigEndian.Uint16(b[4:]))
			if size < portHeaderLen || size > len(b) {
				return malformed("length of a port")
			}
			name, _, _ := bytes.Cut(b[16:16+portNameLen], []byte{0})
			ports = append(ports, Port{
				Number: binary.BigEndian.Uint32(b), Name: string(name),
				Config: binary.BigEndian.Uint32(b[32:]), State: binary.BigEndian.Uint32(b[36:]),
			})
			b = b[size:]
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read ports: %w", err)
	}
	return ports, nil
}
