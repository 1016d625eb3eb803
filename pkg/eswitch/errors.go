package eswitch

import (
	"errors"
	"fmt"

	"github.com/flowshunt/flowshunt/flows"
)

// What callers must be able to tell apart. They stand in the chain of a
// *RuleError or of the error of a port method.
var (
	ErrFull         = errors.New("the eswitch's table is full")
	ErrNotOffloaded = errors.New("no hardware took the rule")
	// ErrRefused is what tc has no words for, or the kernel would do wrongly.
	ErrRefused      = errors.New("the driver has no words for the rule")
	ErrPortGone     = errors.New("the port does not exist")
	ErrNotPrepared  = errors.New("the port was not prepared: it has no clsact qdisc")
	ErrExists       = errors.New("a rule with the same match exists already")
	ErrNotSupported = errors.New("the kernel cannot do this: it needs cls_flower, act_mirred and sch_ingress (Linux 5.8 or later), and for packets that change act_gact, act_pedit, act_csum, act_vlan, act_tunnel_key or act_nat")
	ErrUnknown      = errors.New("the outcome is unknown")

	ErrIngress = errors.New("an ingress qdisc is in the way: OVS polices or offloads on this port, or something else does")
	ErrForeign = errors.New("somebody else has a filter at a preference of ours")

	ErrInvalid   = errors.New("the session cannot be turned into rules")
	ErrOvertaken = errors.New("the session was removed while it was being installed")
	ErrUnguarded = errors.New("the guard for packets with few hops left was removed meanwhile")
	ErrBusy      = errors.New("the session is being installed or removed")
	ErrConflict  = errors.New("the session is installed with other rules: remove it first")
)

// A RuleError says which rule of a session failed, and how. errors.Is finds both
// the sentinel of this package and the kernel's errno.
type RuleError struct {
	Session flows.SessionID
	Rule    flows.Rule
	Op      Op
	Err     error
}

func (e *RuleError) Error() string {
	if e.Op == Delete {
		return fmt.Sprintf("session %s: delete rule on ifindex %d: %v", e.Session, e.Rule.In, e.Err)
	}
	return fmt.Sprintf("session %s: %s rule from ifindex %d to %d: %v", e.Session, e.Rule.Dir, e.Rule.In, e.Rule.Out, e.Err)
}

// Unwrap returns what the driver said.
func (e *RuleError) Unwrap() error { return e.Err }
