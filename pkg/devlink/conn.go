package devlink

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/pkg/nlsocket"
)

// ErrNoDevlink: the kernel was built without devlink.
var ErrNoDevlink = errors.New("the kernel has no devlink")

// Conn asks about the devices of one network namespace. It is safe for concurrent use.
// A device whose mode is just being changed answers when that is done.
type Conn struct {
	conn   *nlsocket.Conn
	family nlsocket.Family
}

// Open opens a Conn in the network namespace of the calling thread. It fails with
// ErrNoDevlink.
func Open() (*Conn, error) {
	conn, err := nlsocket.Dial(unix.NETLINK_GENERIC, nlsocket.Config{ReceiveBuffer: 4 << 20, Timeout: 10 * time.Second})
	if err != nil {
		return nil, err
	}
	c := &Conn{conn: conn}
	if c.family, err = conn.FindFamily(context.Background(), unix.DEVLINK_GENL_NAME); err != nil {
		_ = conn.Close()
		if errors.Is(err, nlsocket.ErrNoFamily) {
			return nil, fmt.Errorf("%w: %w", ErrNoDevlink, err)
		}
		return nil, err
	}
	return c, nil
}

// Close closes the socket.
func (c *Conn) Close() error { return c.conn.Close() }

// Snapshot is what devlink tells at one moment. The zero value is that of a machine
// without any device of its kind.
type Snapshot struct {
	Ports []Port          // in no order
	Modes map[string]Mode // by device, of those with ports
}

// Read reads everything.
func (c *Conn) Read(ctx context.Context) (Snapshot, error) {
	var s Snapshot
	err := c.do(ctx, unix.DEVLINK_CMD_PORT_GET, unix.NLM_F_DUMP, netlink.NewAttributeEncoder(), func(a *netlink.AttributeDecoder) error {
		p, err := decodePort(a)
		s.Ports = append(s.Ports, p)
		return err
	})
	if err != nil {
		return Snapshot{}, fmt.Errorf("devlink: list ports: %w", err)
	}
	s.Modes = make(map[string]Mode)
	for _, p := range s.Ports {
		if _, asked := s.Modes[p.Device]; asked {
			continue
		}
		if s.Modes[p.Device], err = c.Mode(ctx, p.Device); err != nil {
			return Snapshot{}, err
		}
	}
	return s, nil
}

// Mode reads the mode of the eswitch of a device. One that is gone, or does not tell,
// has ModeUnknown, as all have for who lacks CAP_NET_ADMIN; so has one whose driver fails,
// which with a dead firmware is EIO or whatever else it has for that.
func (c *Conn) Mode(ctx context.Context, device string) (m Mode, err error) {
	bus, name, _ := strings.Cut(device, "/")
	e := netlink.NewAttributeEncoder()
	e.String(unix.DEVLINK_ATTR_BUS_NAME, bus)
	e.String(unix.DEVLINK_ATTR_DEV_NAME, name)
	err = c.do(ctx, unix.DEVLINK_CMD_ESWITCH_GET, 0, e, func(a *netlink.AttributeDecoder) error {
		var err error
		m, err = decodeMode(a)
		return err
	})
	if err = unanswered(err); err != nil {
		return ModeUnknown, fmt.Errorf("devlink: read eswitch mode of %s: %w", device, err)
	}
	return m, nil
}

// unanswered drops an error that is an answer: a refusal.
func unanswered(err error) error {
	var refusal *nlsocket.Error
	if errors.As(err, &refusal) {
		return nil
	}
	return err
}

func (c *Conn) do(ctx context.Context, command uint8, flags uint16, e *netlink.AttributeEncoder, take func(*netlink.AttributeDecoder) error) error {
	req, err := nlsocket.GenericRequest(c.family.ID, flags, command, unix.DEVLINK_GENL_VERSION, e)
	if err != nil {
		return err
	}
	return c.conn.Do(ctx, req, func(m nlsocket.Message) error {
		_, a, err := nlsocket.Generic(m)
		if err != nil {
			return err
		}
		return take(a)
	})
}

// Read reads everything once, in the network namespace of the calling thread. Where
// the kernel has no devlink there is nothing.
func Read(ctx context.Context) (Snapshot, error) {
	c, err := Open()
	if errors.Is(err, ErrNoDevlink) {
		return Snapshot{}, nil
	}
	if err != nil {
		return Snapshot{}, err
	}
	defer c.Close()
	return c.Read(ctx)
}
