package engine

import (
	"errors"
	"fmt"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// Config holds the thresholds and budgets of an engine. DefaultConfig gives the
// values that are used where an operator says nothing.
type Config struct {
	Enforce bool // false: decide and explain, install nothing

	Elephant Elephant
	Mark     Mark

	// RequireHW lets no session stay that hardware does not execute in full.
	RequireHW bool

	Capacity   int     // sessions that may be in the eswitch at once
	InsertRate float64 // sessions per second that may be inserted
	MaxFollow  int     // connections followed at once; bounds memory

	// Relearn is how long after a refusal for want of room one session more is tried.
	Relearn time.Duration

	ReadInterval time.Duration // between two reads of an offloaded connection, while they are few
	ReadBudget   float64       // reads per second beyond which the interval grows

	// AwaitRules lets nothing be admitted before RulesFound has told what is there already.
	AwaitRules bool

	KeepAlive bool // refresh conntrack timeouts from hardware counters; off only in tests of that
	Timeouts  Timeouts

	IdleAfter      time.Duration // without a packet in the eswitch: the session leaves
	NoHitsAfter    time.Duration // without a hit while conntrack grows: the session leaves
	ValidateWithin time.Duration // after a doubt about its path a session is confirmed within this, or leaves
	MaxLifetime    time.Duration // a session leaves after so long, to be decided anew; 0: never

	// PermissionSources names who tells what security groups permit; all must permit a
	// connection. A session stays for PermissionGrace when one does not tell what is so any more,
	// and one that was found for as long without policies.
	PermissionSources []string
	PermissionGrace   time.Duration

	// AwaitPolicies lets nothing be offloaded before PoliciesChanged has told what an operator
	// wants. Without it, and until then, each elephant is offloaded.
	AwaitPolicies bool

	Displace float64 // a waiting connection displaces one whose rate, times this, is lower

	FirstSession flows.SessionID // ids count up from here; zero means 1
}

// Elephant says when a connection is worth an entry of the table: when all three
// thresholds are passed, and no longer when its rate stayed below LeaveRate for
// LeaveAfter.
type Elephant struct {
	Bytes      uint64        // both directions, since the connection began
	Rate       float64       // bytes per second, both directions
	Age        time.Duration // since the agent first saw it
	LeaveRate  float64       // bytes per second
	LeaveAfter time.Duration
}

// Mark says how the conntrack mark steers. A mask of zero switches a rule off.
// Never goes before Offload.
type Mark struct {
	Offload, Never MaskedMark
	Blocked        MaskedMark // the CMS's "denied" bit, for instance OVN's ct_mark bit 0
	BlockedLabel   [16]byte   // any of these label bits set means denied; little endian as in the kernel
	// Deny has that bit set where security groups do not permit a session any more.
	Deny bool
}

// MaskedMark matches marks m with m&Mask == Value. A zero Mask matches nothing.
type MaskedMark struct{ Value, Mask uint32 }

// Matches reports whether mark is meant.
func (m MaskedMark) Matches(mark uint32) bool { return m.Mask != 0 && mark&m.Mask == m.Value }

// Timeouts are the conntrack timeouts, in seconds, that entries of offloaded
// sessions are kept at: the kernel's own for an established connection, so that a
// refresh can never be a shortening. Zero means that the protocol is not kept
// alive, and therefore not offloaded.
type Timeouts struct {
	TCP, UDP, GRE, Generic uint32
}

// Of returns the timeout for a protocol.
func (t Timeouts) Of(p flows.Proto) uint32 {
	switch p {
	case flows.TCP:
		return t.TCP
	case flows.UDP:
		return t.UDP
	case flows.GRE:
		return t.GRE
	default:
		return t.Generic
	}
}

// DefaultConfig returns the shipped values. The timeouts are the defaults of
// Linux (nf_conntrack_proto_*.c); an agent replaces them by what it reads.
func DefaultConfig() Config {
	return Config{
		Elephant: Elephant{
			Bytes: 1 << 20, Rate: 125_000, Age: 0,
			LeaveRate: 31_250, LeaveAfter: 30 * time.Second,
		},
		Capacity:     100_000,
		InsertRate:   5_000,
		MaxFollow:    1_000_000,
		ReadInterval: 250 * time.Millisecond,
		ReadBudget:   20_000,
		KeepAlive:    true,
		Timeouts:     Timeouts{TCP: 432_000, UDP: 120, GRE: 180, Generic: 600},
		IdleAfter:    10 * time.Second,
		NoHitsAfter:  2 * time.Second,
		Relearn:      10 * time.Second,
		Displace:     1.5,

		ValidateWithin:  time.Second,
		MaxLifetime:     time.Hour,
		PermissionGrace: 10 * time.Second,
	}
}

// Validate says what is wrong with c, or nil.
func (c Config) Validate() error {
	var errs []error
	positive := func(name string, ok bool) {
		if !ok {
			errs = append(errs, fmt.Errorf("%s must be greater than zero", name))
		}
	}
	positive("capacity", c.Capacity > 0)
	positive("insertion rate", c.InsertRate > 0)
	positive("bound on followed connections", c.MaxFollow > 0)
	positive("time to try a full table again", c.Relearn > 0)
	positive("read interval", c.ReadInterval > 0)
	positive("read budget", c.ReadBudget > 0)
	positive("idle time", c.IdleAfter > 0)
	positive("no-hits time", c.NoHitsAfter > 0)
	positive("validation bound", c.ValidateWithin > 0)
	positive("permission grace", c.PermissionGrace >= 0)
	positive("maximum lifetime", c.MaxLifetime >= 0)
	if c.Displace < 1 {
		errs = append(errs, fmt.Errorf("displacement factor %g would let two sessions displace each other for ever: want at least 1", c.Displace))
	}
	if c.Elephant.LeaveRate > c.Elephant.Rate {
		errs = append(errs, fmt.Errorf("elephant leave rate %g is above the entry rate %g", c.Elephant.LeaveRate, c.Elephant.Rate))
	}
	for name, m := range map[string]MaskedMark{"offload": c.Mark.Offload, "never": c.Mark.Never, "blocked": c.Mark.Blocked} {
		if m.Value&^m.Mask != 0 {
			errs = append(errs, fmt.Errorf("%s mark %#x has bits outside its mask %#x and would never match", name, m.Value, m.Mask))
		}
	}
	return errors.Join(errs...)
}
