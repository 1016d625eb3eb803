package agent

import (
	"errors"

	"github.com/flowshunt/flowshunt/pkg/conntrack"
)

// connections are the sockets to conntrack: one for each kind of work, so that
// nothing waits for a dump.
type connections struct {
	dump, work, ask *conntrack.Conn
	events          *conntrack.Listener
}

func (c *connections) open() (err error) {
	for _, conn := range []**conntrack.Conn{&c.dump, &c.work, &c.ask} {
		if *conn, err = conntrack.Dial(conntrack.Config{}); err != nil {
			return err
		}
	}
	c.events, err = conntrack.Listen(conntrack.Config{}, []uint32{c.work.PortID()},
		conntrack.GroupNew, conntrack.GroupUpdate, conntrack.GroupDestroy)
	return err
}

func (c *connections) close() {
	var errs []error
	for _, conn := range []*conntrack.Conn{c.dump, c.work, c.ask} {
		if conn != nil {
			errs = append(errs, conn.Close())
		}
	}
	if c.events != nil {
		errs = append(errs, c.events.Close())
	}
	_ = errors.Join(errs...) // there is nothing to be done about it
}
