package cli

import (
	"context"

	"github.com/flowshunt/flowshunt/flows"
)

// Rules reads and clears our rules in tc, without help of an agent.
type Rules interface {
	// Audit returns every rule that carries our cookie, on every device.
	Audit(ctx context.Context) ([]Found, error)
	// Flush removes them and says how many, also when it fails half way.
	Flush(ctx context.Context) (int, error)
}

// Found is one rule of ours as the kernel has it.
type Found struct {
	Session    flows.SessionID // from the cookie
	Generation uint32          // from the cookie
	Ifindex    int32
	Port       string // name of the device
	Preference uint16
	Handle     uint32
	Dir        flows.Dir
	Packets    uint64
	Bytes      uint64
	InHW       bool
	Rule       string // match and action in tc's words
}
