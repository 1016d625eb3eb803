package datapath

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Config says what to read and how. The zero value is fine.
type Config struct {
	Name string // of the datapath; empty: "ovs-system", the one that ovs-vswitchd makes
	// ReceiveBuffer is the size in bytes of the kernel's buffer for answers; 0 means
	// 4 MiB.
	ReceiveBuffer int
	// Timeout is how long to wait for an answer that should be there already; 0
	// means 10 seconds.
	Timeout time.Duration
}

// Conn is a generic netlink socket in one network namespace. It is safe for
// concurrent use and carries out one operation at a time.
type Conn struct {
	name                 string
	datapath, port, flow uint16 // numbers of the families

	mu     sync.Mutex // guards what follows
	wire   wire       // nil after Close
	seq    uint32     // of the last request
	unread bool       // answers to it may be left
	buf    []byte     // one datagram
}

// Open opens a socket in the network namespace of the calling thread. It fails with
// ErrNoDatapath where the kernel has no openvswitch; asking lets the kernel load the
// module. The datapath itself may come and go: each operation looks for it.
func Open(cfg Config) (*Conn, error) {
	if cfg.Name == "" {
		cfg.Name = "ovs-system"
	}
	if cfg.ReceiveBuffer == 0 {
		cfg.ReceiveBuffer = 4 << 20
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	s, err := openSocket(cfg)
	if err != nil {
		return nil, err
	}
	c, err := open(s, cfg.Name)
	if err != nil {
		s.close()
		return nil, err
	}
	return c, nil
}

// open asks for the families.
func open(w wire, name string) (*Conn, error) {
	// 64 KiB: the kernel fills up to 32 KiB per datagram of a dump.
	c := &Conn{name: name, wire: w, buf: make([]byte, 64<<10)}
	for _, f := range []struct {
		name   string
		number *uint16
	}{{"ovs_datapath", &c.datapath}, {"ovs_vport", &c.port}, {"ovs_flow", &c.flow}} {
		var err error
		if *f.number, err = c.family(f.name); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Close closes the socket. An operation that is running finishes first.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wire == nil {
		return nil
	}
	err := c.wire.close()
	c.wire = nil
	return err
}

// family asks for the number of a family of generic netlink.
func (c *Conn) family(name string) (id uint16, err error) {
	err = c.ask(context.Background(), "find "+name, func(seq uint32) []byte {
		return request(genlControl, 0, seq, genlGetFamily, 1, -1, appendString(nil, genlFamily, name))
	}, func(m *message) error {
		var err error
		a := attrs{b: m.payload[min(genlHeader, len(m.payload)):], err: &err}
		for a.next() {
			if a.typ == genlFamilyID {
				id = a.u16()
			}
		}
		return err
	})
	if errors.Is(err, unix.ENOENT) {
		return 0, fmt.Errorf("%w: %w", ErrNoDatapath, err)
	}
	if err == nil && id == 0 {
		err = &DecodeError{"family without a number"}
	}
	return id, err
}

// find returns the number of the datapath.
func (c *Conn) find(ctx context.Context) (dp int64, err error) {
	err = c.ask(ctx, "find datapath "+c.name, func(seq uint32) []byte {
		return request(c.datapath, 0, seq, cmdGet, dpVersion, 0, appendString(nil, dpName, c.name))
	}, func(m *message) error {
		number, _, err := m.body()
		dp = int64(number)
		return err
	})
	if errors.Is(err, unix.ENODEV) {
		err = fmt.Errorf("%w: %w", ErrNoDatapath, err)
	}
	return dp, err
}
