package agent

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/control"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/eswitch/flower"
	"github.com/flowshunt/flowshunt/pkg/metrics"
	"github.com/flowshunt/flowshunt/pkg/path"
)

// Config is all that an operator can choose. DefaultConfig gives the shipped values.
type Config struct {
	Engine   engine.Config // thresholds and budgets; Timeouts are read from the kernel
	Selected path.Selection
	Wires    []path.Wire
	Groups   Groups
	Policies Policies
	// TrustOVS lets the flows of OVS stand for security groups where there is no source that
	// says what they permit: without it a port that has some (iface-id) is not offloaded then.
	TrustOVS bool

	OVSDB     string        // endpoint of the Open vSwitch database; empty: the local one
	OVSRundir string        // where ovs-vswitchd's pidfile is; empty: the usual place
	OVSWait   time.Duration // how long a start waits for the database
	OVSGrace  time.Duration // how long enforce goes on without it

	PollInterval  time.Duration // between the starts of two conntrack dumps, while they are short
	CountInterval time.Duration // between two readings of the eswitch's counters
	ConfirmEvery  time.Duration // between two confirmations of all paths that no event asked for

	Hardware   flower.Mode
	RequireHW  bool
	Preference uint16 // first tc preference of ours; 0: flower.DefaultPreference

	FlowTimeout time.Duration // after which rules that are flows of a bridge end without us; 0: ofswitch.DefaultHard
	// UserspaceLiberal lets the agent turn off that the userspace datapath checks TCP
	// sequence numbers, of all its connections, without which none can be offloaded.
	UserspaceLiberal bool

	KeepOnExit bool // leave the rules in place for a successor
	Control    control.Socket
	Metrics    metrics.Config
	Log        *slog.Logger // nil: nothing is logged

	// Of tests; nil: tc, and the judge that asks OVS.
	driver eswitch.Driver
	judge  judge
}

// judge says what OVS does with packets, and forgets what it knows when told to.
type judge interface {
	path.Forwarder
	doubter
	SetPorts(*path.Ports)
}

// DefaultConfig returns the shipped values: observe mode, no port selected.
func DefaultConfig() Config {
	return Config{
		Engine:        engine.DefaultConfig(),
		Groups:        Groups{Kinds: []GroupsKind{GroupsAuto}, DropGroup: "neutron_pg_drop"},
		OVSWait:       10 * time.Second,
		OVSGrace:      time.Minute,
		PollInterval:  time.Second,
		CountInterval: 500 * time.Millisecond,
		ConfirmEvery:  10 * time.Second,
	}
}

// Validate says what is wrong with c, or nil.
func (c Config) Validate() error {
	errs := []error{c.Engine.Validate(), c.Metrics.Validate(), c.Groups.Validate(), c.Policies.Validate()}
	if c.PollInterval < 10*time.Millisecond {
		errs = append(errs, fmt.Errorf("poll interval %v: want at least 10ms", c.PollInterval))
	}
	if c.CountInterval < 10*time.Millisecond {
		errs = append(errs, fmt.Errorf("count interval %v: want at least 10ms", c.CountInterval))
	}
	if c.ConfirmEvery < time.Second {
		errs = append(errs, fmt.Errorf("interval of confirmation %v: want at least 1s", c.ConfirmEvery))
	}
	if c.Engine.IdleAfter < 3*c.CountInterval {
		errs = append(errs, fmt.Errorf("idle time %v: want at least three count intervals of %v, or live sessions look idle", c.Engine.IdleAfter, c.CountInterval))
	}
	return errors.Join(errs...)
}

// requiresHW reports whether no rule may be executed in software.
func (c Config) requiresHW() bool { return c.RequireHW || c.Hardware == flower.SkipSW }
