package agent

import (
	"context"
	"sync"

	"github.com/flowshunt/flowshunt/pkg/datapath"
	"github.com/flowshunt/flowshunt/pkg/megaflow"
)

// kernelDatapath reads the kernel's datapath. It opens connections when they are needed,
// and anew after an error: the module may be loaded, or exchanged, while we run. The zero
// value is ready. It implements path.Datapath.
type kernelDatapath struct {
	ports, flows lazyConn // a dump of flows takes time, ports are asked for often
}

type lazyConn struct {
	mu   sync.Mutex
	conn *datapath.Conn
}

// with calls f with an open connection.
func (l *lazyConn) with(f func(*datapath.Conn) error) (err error) {
	l.mu.Lock()
	conn := l.conn
	if conn == nil {
		conn, err = datapath.Open(datapath.Config{})
		l.conn = conn
	}
	l.mu.Unlock()
	if err != nil {
		return err
	}
	if err := f(conn); err != nil {
		l.drop(conn)
		return err
	}
	return nil
}

// drop closes a connection, unless another one has taken its place.
func (l *lazyConn) drop(conn *datapath.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == conn && conn != nil {
		_ = conn.Close()
		l.conn = nil
	}
}

// Ports implements path.Datapath.
func (d *kernelDatapath) Ports(ctx context.Context) (ports []datapath.Port, err error) {
	err = d.ports.with(func(c *datapath.Conn) error {
		ports, err = c.Ports(ctx)
		return err
	})
	return ports, err
}

// Flows implements path.Datapath.
func (d *kernelDatapath) Flows(ctx context.Context) (list []megaflow.Flow, err error) {
	err = d.flows.with(func(c *datapath.Conn) error {
		list, err = c.Flows(ctx)
		return err
	})
	return list, err
}

func (d *kernelDatapath) close() {
	d.ports.drop(d.ports.conn)
	d.flows.drop(d.flows.conn)
}
