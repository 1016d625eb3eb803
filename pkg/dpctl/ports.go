package dpctl

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Ports returns the number of each port of the datapath, by name.
func (c *Client) Ports(ctx context.Context) (map[string]uint32, error) {
	text, err := c.call(ctx, "show", c.datapath())
	if err != nil {
		return nil, err
	}
	return parsePorts(text)
}

// parsePorts reads lines like "  port 2: veth0 (tap)" among others.
func parsePorts(text string) (map[string]uint32, error) {
	ports := make(map[string]uint32)
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "port ")
		if !ok {
			continue
		}
		number, name, ok := strings.Cut(rest, ": ")
		n, err := strconv.ParseUint(number, 10, 32)
		if !ok || err != nil || name == "" {
			return nil, fmt.Errorf("port: %w: %q", ErrFormat, clip(line))
		}
		name, _, _ = strings.Cut(name, " (")
		ports[name] = uint32(n)
	}
	return ports, nil
}
