package path

import (
	"context"
	"sync"

	"github.com/flowshunt/flowshunt/pkg/datapath"
	"github.com/flowshunt/flowshunt/pkg/megaflow"
)

// Datapath is what a Judge reads of the kernel's datapath; *datapath.Conn is one.
type Datapath interface {
	Ports(ctx context.Context) ([]datapath.Port, error)
	Flows(ctx context.Context) ([]megaflow.Flow, error)
}

// numbers remembers which number the datapath has given to which network device.
type numbers struct {
	datapath Datapath

	mu         sync.Mutex // not held while they are read: a doubt does not wait for the kernel
	known      *numbering
	generation uint64 // of known; what was read before is not kept
}

// numbering is never changed.
type numbering struct {
	names   map[uint32]string
	numbers map[string]uint32
}

func (n *numbering) name(number uint32) string { return n.names[number] }

func (n *numbers) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.known = nil
	n.generation++
}

func (n *numbers) last() (*numbering, uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.known, n.generation
}

func (n *numbers) keep(known *numbering, generation uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if generation == n.generation {
		n.known = known
	}
}

func (n *numbers) get(ctx context.Context) (*numbering, error) {
	known, generation := n.last()
	if known != nil {
		return known, nil
	}
	ports, err := n.datapath.Ports(ctx)
	if err != nil {
		return nil, err
	}
	known = &numbering{names: make(map[uint32]string, len(ports)), numbers: make(map[string]uint32, len(ports))}
	for _, p := range ports {
		known.names[p.Number], known.numbers[p.Name] = p.Name, p.Number
	}
	n.keep(known, generation)
	return known, nil
}
