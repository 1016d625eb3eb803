package path

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/megaflow"
	"github.com/flowshunt/flowshunt/pkg/ofproto"
)

// maxChains bounds what is remembered of traces, and maxPerKey what is remembered for
// one key; beyond, all of that is forgotten. Where a pipeline looks at the tuple, the
// traces of a key are as many as its connections, and to look through more of them
// takes longer than another trace.
const (
	maxChains = 4096
	maxPerKey = 64
)

// Tracer asks OVS what it would do with a packet of a connection; *ofproto.Tracer is one.
type Tracer interface {
	Follow(ctx context.Context, q ofproto.Query, conn megaflow.Connection) (*ofproto.Trace, error)
}

// chains composes paths from traces. OVS says with each which packets it holds for,
// so one answers for many connections; until Doubt.
type chains struct {
	tracer Tracer
	aside  uint64 // see JudgeConfig

	mu         sync.Mutex
	known      map[chainKey][]chain
	size       int
	generation uint64 // of what is known; a trace from before is not kept
}

// chainKey is where packets come in, and in which frames.
type chainKey struct {
	bridge string
	ofport uint32
	frame  flows.Frame
}

// chain is the answer of one trace.
type chain struct {
	table *megaflow.Table
	trace *ofproto.Trace
}

func (c *chains) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.known)
	c.size = 0
	c.generation++
}

func (c *chains) at(key chainKey) ([]chain, uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known[key], c.generation
}

func (c *chains) keep(key chainKey, generation uint64, ch chain) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if generation != c.generation {
		return
	}
	if c.size >= maxChains {
		clear(c.known)
		c.size = 0
	}
	if n := len(c.known[key]); n >= maxPerKey {
		delete(c.known, key)
		c.size -= n
	}
	c.known[key] = append(c.known[key], ch)
	c.size++
}

// compose answers from what is known, or asks OVS. number is the port's in the
// datapath.
func (c *chains) compose(ctx context.Context, q Question, number uint32) (path megaflow.Path, plain bool, err error) {
	key := chainKey{q.In.Bridge, q.In.Ofport, q.Frame}
	known, generation := c.at(key)
	for _, ch := range known {
		if path, err = ch.compose(q, number); !errors.Is(err, megaflow.ErrUnknown) {
			return path, ch.trace.Plain, err
		}
	}
	ch, err := c.trace(ctx, q, number)
	if err != nil {
		return path, false, err
	}
	c.keep(key, generation, ch)
	path, err = ch.compose(q, number)
	return path, ch.trace.Plain, err
}

// trace asks OVS.
func (c *chains) trace(ctx context.Context, q Question, number uint32) (chain, error) {
	query := ofproto.Query{
		Bridge: q.In.Bridge, InPort: q.In.Ofport, Frame: q.Frame, Tuple: q.Tuple,
		Datapath: &ofproto.Datapath{Type: cmp.Or(q.In.Datapath, "system"), Port: number},
	}
	if q.In.AsFlows {
		if query.Aside = c.aside; c.aside != 0 {
			if refusal := unsaid(q.Frame); refusal != nil {
				return chain{}, refusal
			}
		}
	}
	trace, err := c.tracer.Follow(ctx, query, connectionOf(q))
	if err != nil {
		return chain{}, err
	}
	return chain{megaflow.NewTable(trace.Stages), trace}, nil
}

// unsaid refuses a frame that OpenFlow has no words for, in which OVS is asked about
// packets with metadata.
func unsaid(f flows.Frame) *megaflow.Refusal {
	switch {
	case f.Tags.Len() > 1:
		return &megaflow.Refusal{Reason: flows.UnsupportedVLAN, Detail: "a second tag is nothing to OpenFlow"}
	case f.Tags[0].Type == flows.TagProvider:
		return &megaflow.Refusal{Reason: flows.UnsupportedVLAN, Detail: "the type of a tag is nothing to OpenFlow"}
	case f.Tunnel.Value().Options != "":
		return &megaflow.Refusal{Reason: flows.UnsupportedTunnel, Detail: "options of Geneve are nothing to OpenFlow"}
	}
	return nil
}

func (ch chain) compose(q Question, number uint32) (megaflow.Path, error) {
	path, err := megaflow.Compose(ch.table, packetOf(q, number), connectionOf(q))
	if err == nil && ch.trace.Groups {
		return path, &megaflow.Refusal{Reason: flows.UnsupportedGroup, Detail: fmt.Sprintf("for what enters %s", q.In.Name)}
	}
	return path, err
}
