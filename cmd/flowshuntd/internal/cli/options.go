package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/agent"
	"github.com/flowshunt/flowshunt/pkg/control"
	"github.com/flowshunt/flowshunt/pkg/eswitch/flower"
	ofswitch "github.com/flowshunt/flowshunt/pkg/eswitch/openflow"
	"github.com/flowshunt/flowshunt/pkg/path"
)

// options are the flags as they are written, beside those that are configuration
// as they stand.
type options struct {
	agent.Config
	mode, ports, wires, hardware, onExit  string
	markOffload, markNever, markCTBlocked string
	securityGroups, setBlocked            string
	logLevel                              slog.Level
}

func defaults() *options { return &options{Config: agent.DefaultConfig()} }

func (o *options) registerMetrics(f *pflag.FlagSet) {
	m := &o.Metrics
	f.StringVar(&m.Listen, "metrics-listen", "", "serve Prometheus metrics, liveness and readiness on ADDR:PORT, as 127.0.0.1:9474; empty: nowhere")
	f.StringVar(&m.Cert, "metrics-tls-cert", "", "certificate (file, PEM) for that; wanted beyond loopback, read again when it changes")
	f.StringVar(&m.Key, "metrics-tls-key", "", "its key (file, PEM)")
	f.StringVar(&m.ClientCA, "metrics-tls-client-ca", "", "certificates (file, PEM) of which one must have signed that of a client")
	f.BoolVar(&m.Insecure, "metrics-insecure", false, "serve metrics in plain text also beyond loopback")
}

func (o *options) registerGroups(f *pflag.FlagSet) {
	g := &o.Groups
	f.StringVar(&o.securityGroups, "security-groups", "auto", "what tells which connections the security groups of a port (iface-id) permit: auto (ovn where Open vSwitch names a Southbound database, else nothing), none, or ovn and file:PATH, separated by commas, which must all permit one")
	f.BoolVar(&o.TrustOVS, "trust-ovs", false, "where nothing tells what security groups permit, offload such ports by the word of OVS's flows alone")
	f.StringVar(&g.Southbound, "ovn-sb", "", "remotes of OVN's Southbound database, as ssl:HOST:PORT,... or unix:PATH (default external_ids:ovn-remote)")
	f.StringVar(&g.Northbound, "ovn-nb", "", "remotes of OVN's Northbound database, which knows of a change earlier and names Neutron's rules; empty: it is not asked")
	f.StringVar(&g.Chassis, "ovn-chassis", "", "this host's name in OVN (default external_ids:system-id)")
	f.StringVar(&g.Key, "ovn-private-key", "", "private key (file, PEM) for ssl (default that of the Open vSwitch database)")
	f.StringVar(&g.Certificate, "ovn-certificate", "", "its certificate (file, PEM)")
	f.StringVar(&g.CACert, "ovn-ca-cert", "", "certificate (file, PEM) that must have signed the servers'")
	f.StringVar(&g.DropGroup, "ovn-drop-group", g.DropGroup, "port group by which Neutron denies what no security group permits; a port that should be in it and is not is taken for unknown")
	f.StringVar(&g.Host, "security-groups-host", "", "this host's name in binding:host_id of a file's ports (default the host name)")
	f.DurationVar(&o.Engine.PermissionGrace, "security-groups-grace", o.Engine.PermissionGrace, "how long sessions stay when nobody tells any more what security groups permit; nothing new is offloaded meanwhile")
	f.StringVar(&o.setBlocked, "set-blocked", "auto", "set --mark-blocked in conntrack where security groups do not permit a session any more, after the network service has carried the change out, so that it refuses replies too: on, off, or auto (on with ovn)")
}

func (o *options) registerPolicies(f *pflag.FlagSet) {
	p := &o.Policies
	f.StringVar(&p.Remotes, "db", "", "remotes of the policy database, as unix:PATH, tcp:HOST:PORT or ssl:HOST:PORT,...; none: each elephant is offloaded (default external_ids:flowshunt-remote, and none where it is not set)")
	f.StringVar(&p.TLS.PrivateKey, "db-private-key", "", "private key (file, PEM) for ssl (default that of the Open vSwitch database)")
	f.StringVar(&p.TLS.Certificate, "db-certificate", "", "its certificate (file, PEM)")
	f.StringVar(&p.TLS.CACert, "db-ca-cert", "", "certificate (file, PEM) that must have signed the servers'")
}

func (o *options) register(f *pflag.FlagSet) {
	e := &o.Engine
	f.StringVar(&o.mode, "mode", "observe", "observe (decide and explain, install nothing) or enforce")
	f.StringVar(&o.ports, "ports", "", "ports that may be offloaded: names or globs, comma-separated, or all; none: those with external_ids:flowshunt=on")
	f.StringVar(&o.wires, "wires", "", "virtual wires whose flows are somebody else's: pairs of ports patched to each other, as p0:p1,p2:p3")
	o.registerGroups(f)
	o.registerPolicies(f)
	f.StringVar(&o.onExit, "on-exit", "flush", "what a stop does with the rules: flush (take them out) or keep (traffic goes on past OVS until the next agent takes them over, or flowshuntctl flush removes them)")

	f.StringVar(&o.OVSDB, "ovsdb", "", "endpoint of the Open vSwitch database, unix:PATH or tcp:HOST:PORT (default the local one)")
	f.StringVar(&o.OVSRundir, "ovs-rundir", "", "directory of ovs-vswitchd's pidfile (default /var/run/openvswitch)")
	f.DurationVar(&o.OVSGrace, "ovsdb-grace", o.OVSGrace, "how long offloading goes on without the database")
	f.StringVar(&o.Control.Path, "control-socket", control.DefaultSocket, "socket of the control API")
	f.StringVar(&o.Control.Group, "control-group", "", "group that may use it (default flowshunt where it exists)")
	o.registerMetrics(f)

	f.StringVar(&o.hardware, "hardware", "both", "who executes rules: skip-sw (the NIC only), skip-hw (the kernel only), both, or require (both, and the NIC must)")
	f.Uint16Var(&o.Preference, "preference", flower.DefaultPreference, "first tc preference of ours")
	f.DurationVar(&o.FlowTimeout, "flow-timeout", ofswitch.DefaultHard, "rules that are flows of a bridge (userspace datapath, kernel without cls_flower) end by themselves so long after the agent died, in whole seconds")
	f.BoolVar(&o.UserspaceLiberal, "userspace-ct-liberal", false, "turn off that the userspace datapath checks TCP sequence numbers, of all its connections: while it does, no TCP connection of it is offloaded")
	f.IntVar(&e.Capacity, "capacity", e.Capacity, "sessions that may be offloaded at once")
	f.Float64Var(&e.InsertRate, "insert-rate", e.InsertRate, "sessions per second that may be installed")
	f.IntVar(&e.MaxFollow, "max-connections", e.MaxFollow, "connections followed at once; bounds memory")

	f.Uint64Var(&e.Elephant.Bytes, "elephant-bytes", e.Elephant.Bytes, "a connection is an elephant from this many bytes on, both directions")
	f.Float64Var(&e.Elephant.Rate, "elephant-rate", e.Elephant.Rate, "and from this many bytes per second on")
	f.DurationVar(&e.Elephant.Age, "elephant-age", e.Elephant.Age, "and when it was followed for so long")
	f.Float64Var(&e.Elephant.LeaveRate, "leave-rate", e.Elephant.LeaveRate, "an elephant is none any more below this many bytes per second")
	f.DurationVar(&e.Elephant.LeaveAfter, "leave-after", e.Elephant.LeaveAfter, "for so long without a break")
	f.DurationVar(&e.IdleAfter, "idle", e.IdleAfter, "a session without a packet for so long leaves the eswitch")

	f.DurationVar(&e.ValidateWithin, "validate-within", e.ValidateWithin, "after a change in OVS a session is confirmed within this, or returns to the slow path")
	f.DurationVar(&o.ConfirmEvery, "confirm-every", o.ConfirmEvery, "how often all sessions are confirmed although nothing is known to have changed")
	f.DurationVar(&e.MaxLifetime, "max-lifetime", e.MaxLifetime, "a session returns to the slow path after so long, to be decided anew; 0: never")
	f.StringVar(&o.markOffload, "mark-offload", "", "conntrack mark that asks for offload, as VALUE/MASK")
	f.StringVar(&o.markNever, "mark-never", "", "conntrack mark that forbids offload, as VALUE/MASK")
	f.StringVar(&o.markCTBlocked, "mark-blocked", "0x1/0x1", "conntrack mark by which the network service denies a connection (OVN and Neutron: bit 0), as VALUE/MASK; empty: none")

	f.DurationVar(&o.PollInterval, "poll-interval", o.PollInterval, "between two reads of the conntrack table")
	f.DurationVar(&o.CountInterval, "count-interval", o.CountInterval, "between two reads of the eswitch's counters")
	f.DurationVar(&e.ReadInterval, "read-interval", e.ReadInterval, "between two reads of the conntrack entry of an offloaded connection, while they are few")
	f.Float64Var(&e.ReadBudget, "read-budget", e.ReadBudget, "reads of entries of offloaded connections per second at most")
	f.BoolVar(&e.KeepAlive, "keepalive", e.KeepAlive, "keep conntrack entries of offloaded connections alive; off only to see what happens without")
	f.TextVar(&o.logLevel, "log-level", slog.LevelInfo, "debug, info, warn or error")
}

// config checks the flags and turns them into a configuration.
func (o *options) config() (agent.Config, error) {
	cfg := o.Config
	var errs []error
	check := func(flag string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("--%s: %w", flag, err))
		}
	}
	var err error
	cfg.Engine.Enforce, err = choice(o.mode, map[string]bool{"observe": false, "enforce": true})
	check("mode", err)
	cfg.KeepOnExit, err = choice(o.onExit, map[string]bool{"flush": false, "keep": true})
	check("on-exit", err)
	cfg.Selected, err = path.ParseSelection(o.ports)
	check("ports", err)
	if cfg.Engine.Enforce && strings.Trim(o.ports, ", ") == "" {
		check("ports", errors.New("mode enforce needs to know which ports may be offloaded: name them, or say all, or none for those with external_ids:flowshunt=on"))
	}
	cfg.Wires, err = path.ParseWires(o.wires)
	check("wires", err)
	cfg.Hardware, err = choice(o.hardware, map[string]flower.Mode{
		"skip-hw": flower.SkipHW, "skip-sw": flower.SkipSW, "both": flower.Both, "require": flower.Both,
	})
	check("hardware", err)
	cfg.RequireHW = o.hardware == "require"
	cfg.Engine.Mark.Offload, err = parseMark(o.markOffload)
	check("mark-offload", err)
	cfg.Engine.Mark.Never, err = parseMark(o.markNever)
	check("mark-never", err)
	cfg.Engine.Mark.Blocked, err = parseMark(o.markCTBlocked)
	check("mark-blocked", err)
	check("mark-offload", neverMeant(cfg.Engine.Mark))
	check("security-groups", agent.ParseGroups(o.securityGroups, &cfg.Groups))
	cfg.Engine.Mark.Deny, err = choice(o.setBlocked, map[string]bool{"on": true, "off": false, "auto": cfg.Groups.AsksOVN()})
	check("set-blocked", err)
	if o.setBlocked == "on" && (!cfg.Groups.AsksOVN() || cfg.Engine.Mark.Blocked.Mask == 0) {
		check("set-blocked", errors.New("on needs --security-groups=ovn and a --mark-blocked: nobody else's bit is known"))
	}
	check("wires", unselected(cfg))
	errs = append(errs, cfg.Validate())
	return cfg, errors.Join(errs...)
}

// neverMeant returns an error where every mark that asks for offload forbids it too.
func neverMeant(m engine.Mark) error {
	for flag, no := range map[string]engine.MaskedMark{"mark-never": m.Never, "mark-blocked": m.Blocked} {
		if no.Mask != 0 && m.Offload.Mask&no.Mask == no.Mask && no.Matches(m.Offload.Value) {
			return fmt.Errorf("%#x/%#x is also --%s %#x/%#x, which goes before it: no connection would ever be offloaded by its mark",
				m.Offload.Value, m.Offload.Mask, flag, no.Value, no.Mask)
		}
	}
	return nil
}

// unselected returns an error for the end of a wire that is not among the ports.
func unselected(cfg agent.Config) error {
	if !cfg.Engine.Enforce {
		return nil
	}
	for _, w := range cfg.Wires {
		for _, end := range w.Ends {
			if !cfg.Selected.Has(end) {
				return fmt.Errorf("%s:%s: %s is not among --ports, so nothing on this wire would be offloaded: add it there", w.Ends[0], w.Ends[1], end)
			}
		}
	}
	return nil
}

func choice[T any](s string, values map[string]T) (T, error) {
	v, ok := values[s]
	if !ok {
		names := make([]string, 0, len(values))
		for name := range values {
			names = append(names, name)
		}
		return v, fmt.Errorf("%q: want one of %s", s, strings.Join(slices.Sorted(slices.Values(names)), ", "))
	}
	return v, nil
}

// parseMark reads VALUE or VALUE/MASK, decimal or with 0x; empty is no mark.
func parseMark(s string) (engine.MaskedMark, error) {
	if s == "" {
		return engine.MaskedMark{}, nil
	}
	value, mask, masked := strings.Cut(s, "/")
	v, err := strconv.ParseUint(value, 0, 32)
	m := uint64(1<<32 - 1)
	if err == nil && masked {
		m, err = strconv.ParseUint(mask, 0, 32)
	}
	if err != nil {
		return engine.MaskedMark{}, fmt.Errorf("%q: want VALUE or VALUE/MASK, 32 bits each, as 0x4/0x6", s)
	}
	if m == 0 {
		return engine.MaskedMark{}, fmt.Errorf("%q: a mask of zero matches everything; leave the flag out to switch it off", s)
	}
	return engine.MaskedMark{Value: uint32(v), Mask: uint32(m)}, nil
}
