package check

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/eswitch/flower"
)

// What a probe uses differs from what an agent does, so that neither meets the other:
// preferences beside the agent's default ones, and sessions that no agent numbers. The
// cookie is ours, so that audit and flush find what a killed probe left.
const (
	probePreference = flower.DefaultPreference + 64
	probeSession    = flows.SessionID(0xffff_fffe_0000_0000)
	probeHandle     = 0x7f00_0000
)

// cleanUpTime bounds what a probe does after it was interrupted.
const cleanUpTime = 20 * time.Second

// ProbeConfig says what to probe.
type ProbeConfig struct {
	Port string // device whose driver is asked
	To   string // where rules redirect to; empty: another representor of the same eswitch, else Port itself
}

// Probe inserts rules into the hardware behind a port and removes them: what it takes, what
// its driver says against the rest, and how fast it is. The rules are those that an agent
// would install, for connections that cannot exist. The port's clsact is made if it is
// missing, and removed. All of that also if ctx ends; then Unknown lines say what was not
// reached.
func Probe(ctx context.Context, cfg ProbeConfig) []Line {
	lines := probe(ctx, cfg)
	for i := range lines {
		lines[i].Group = "probe"
	}
	return lines
}

func probe(ctx context.Context, cfg ProbeConfig) []Line {
	const name = "port"
	devices, err := readDevices()
	if err != nil {
		return []Line{unknown(name, err)}
	}
	in, out, err := endsOf(devices, cfg)
	if err != nil {
		return []Line{fatal(name, "%s", err).why("there is nothing to probe").fix("ip -d link show # representors have a switchid")}
	}
	d, err := flower.Open(flower.Config{Mode: flower.SkipSW, Preference: probePreference, Sockets: 1})
	if err != nil {
		return []Line{unknown(name, err)}
	}
	defer d.Close()
	raw, err := openRaw()
	if err != nil {
		return []Line{unknown(name, err)}
	}
	defer raw.Close()
	had, err := readQdiscs(ctx)
	if err != nil {
		return []Line{unknown(name, err)}
	}
	p := &prober{driver: d, raw: raw, in: in, out: out, tunnels: tunnelsOf(devices), made: map[eswitch.Ref]bool{}}
	for _, end := range append(p.ends(), p.tunnels...) {
		if had[end.index] == "" {
			p.release = append(p.release, end.index)
		}
	}
	return p.run(ctx)
}

// endsOf finds the devices of a probe.
func endsOf(devices []device, cfg ProbeConfig) (in, out device, err error) {
	find := func(name string) (device, error) {
		i := slices.IndexFunc(devices, func(d device) bool { return d.Name == name })
		if i < 0 {
			return device{}, fmt.Errorf("there is no device %s", name)
		}
		return devices[i], nil
	}
	if in, err = find(cfg.Port); err != nil {
		return in, out, err
	}
	if cfg.To != "" {
		out, err = find(cfg.To)
		return in, out, err
	}
	return in, partner(devices, in), nil
}

// partner is another device of the same eswitch, an uplink (p0, p1) before others.
func partner(devices []device, in device) device {
	out := in
	for _, d := range devices {
		if in.SwitchID == "" || d.SwitchID != in.SwitchID || d.index == in.index {
			continue
		}
		uplink := strings.HasPrefix(d.PortName, "p") && !strings.HasPrefix(d.PortName, "pf")
		if out.index == in.index || uplink {
			out = d
		}
		if uplink {
			break
		}
	}
	return out
}

// tunnelsOf returns the first device of each kind of tunnel.
func tunnelsOf(devices []device) (tunnels []device) {
	for _, kind := range []string{"geneve", "vxlan"} {
		i := slices.IndexFunc(devices, func(d device) bool { return d.Kind == kind })
		if i >= 0 {
			tunnels = append(tunnels, devices[i])
		}
	}
	return tunnels
}
