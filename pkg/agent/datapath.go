package agent

import (
	"context"
	"sync"

	"github.com/flowshunt/flowshunt/pkg/datapath"
	"github.com/flowshunt/flowshunt/pkg/megaflow"
)

// lazyDatapath opens the kernel's datapath when it is needed: the module may be loaded
// after the agent was started. The zero value is ready. It implements path.Datapath.
type lazyDatapath struct {
	mu   sync.Mutex
	conn *datapath.Conn
}

func (d *lazyDatapath) open() (*datapath.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var err error
	if d.conn == nil {
		d.conn, err = datapath.Open(datapath.Config{})
	}
	return d.conn, err
}

// Ports implements path.Datapath.
func (d *lazyDatapath) Ports(ctx context.Context) ([]datapath.Port, error) {
	conn, err := d.open()
	if err != nil {
		return nil, err
	}
	return conn.Ports(ctx)
}

// Flows implements path.Datapath.
func (d *lazyDatapath) Flows(ctx context.Context) ([]megaflow.Flow, error) {
	conn, err := d.open()
	if err != nil {
		return nil, err
	}
	return conn.Flows(ctx)
}

func (d *lazyDatapath) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conn != nil {
		_ = d.conn.Close()
	}
}
