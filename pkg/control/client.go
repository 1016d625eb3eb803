package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "github.com/flowshunt/flowshunt/pkg/control/controlpb"
)

// Client asks one agent. Its methods may be called concurrently; each fails with
// an *Error. The deadline of ctx is the only time limit.
type Client struct {
	path string
	conn *grpc.ClientConn
	rpc  pb.ControlClient
}

// Dial connects to the agent that listens at path (empty: DefaultSocket). It
// fails with ErrNoAgent if there is none and ErrPermission if this user may not
// ask it. That it succeeds does not mean that the agent will answer.
func Dial(ctx context.Context, path string) (*Client, error) {
	if path == "" {
		path = DefaultSocket
	}
	// gRPC would turn the cause into text; one connection of our own keeps it.
	probe, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, dialError(path, err)
	}
	probe.Close()
	conn, err := grpc.NewClient("passthrough:///flowshunt",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
		grpc.WithDisableServiceConfig(),
		grpc.WithNoProxy(),
	)
	if err != nil {
		return nil, &Error{Op: "connect", Path: path, Err: err}
	}
	return &Client{path: path, conn: conn, rpc: pb.NewControlClient(conn)}, nil
}

func dialError(path string, err error) error {
	e := &Error{Op: "connect", Path: path, Err: err}
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ECONNREFUSED):
		e.Kind, e.Err = ErrNoAgent, nil
		e.Hint = "is flowshuntd running (systemctl status flowshuntd), and with this socket?"
	case errors.Is(err, fs.ErrPermission):
		e.Kind, e.Err = ErrPermission, nil
		e.Hint = permissionHint(path)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, unix.EAGAIN):
		e.Kind, e.Err = ErrTimeout, nil
		e.Hint = "the agent is busy or hangs: see its log"
	}
	return e
}

// permissionHint says which group the socket asks for.
func permissionHint(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return "run this as root"
	}
	gid := info.Sys().(*syscall.Stat_t).Gid
	if gid == 0 {
		return "run this as root"
	}
	return fmt.Sprintf("run this as root or as a member of group %q", groupName(gid))
}

// Close releases the connection.
func (c *Client) Close() error { return c.conn.Close() }

func (c *Client) fail(op string, err error) error { return fromGRPC(op, c.path, err) }

// Show returns how the agent is.
func (c *Client) Show(ctx context.Context) (Status, error) {
	m, err := c.rpc.Show(ctx, &pb.ShowRequest{})
	if err != nil {
		return Status{}, c.fail("show", err)
	}
	return toStatus(m), nil
}

// Sessions calls each for every session that matches f, in its order, and stops
// at the first error of each.
func (c *Client) Sessions(ctx context.Context, f Filter, each func(Session) error) (Summary, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.rpc.Sessions(ctx, fromFilter(&f))
	if err != nil {
		return Summary{}, c.fail("sessions", err)
	}
	var sum Summary
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return sum, nil
		}
		if err != nil {
			return sum, c.fail("sessions", err)
		}
		if err := c.receive(m, &sum, each); err != nil {
			return sum, err
		}
	}
}

func (c *Client) receive(m *pb.SessionsResponse, sum *Summary, each func(Session) error) error {
	if t := m.GetSummary(); t != nil {
		*sum = Summary{Matched: t.GetMatched(), Now: toTime(t.GetNowNs())}
	}
	if m.GetSession() == nil {
		return nil
	}
	s, err := toSession(m.GetSession())
	if err != nil {
		return c.malformed("sessions", err)
	}
	return each(s)
}

// Why explains one tuple.
func (c *Client) Why(ctx context.Context, q Question) (Explanation, error) {
	m, err := c.rpc.Why(ctx, fromQuestion(&q))
	if err != nil {
		return Explanation{}, c.fail("why", err)
	}
	e, err := toExplanation(m)
	if err != nil {
		return Explanation{}, c.malformed("why", err)
	}
	return e, nil
}

// Order has an order carried out, and calls each for what has become of it, entry by entry,
// until each fails. An error may come after some of them. With ErrGiven the order was given;
// with ErrTimeout and ErrNoAgent it may have been.
func (c *Client) Order(ctx context.Context, o Order, each func(Ordered) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.rpc.Order(ctx, fromOrder(&o))
	if err != nil {
		return c.orderFailed(&o, err)
	}
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return c.orderFailed(&o, err)
		}
		r, err := toOrdered(m)
		if err != nil {
			return c.malformed(o.Kind.String(), err)
		}
		if err := each(r); err != nil {
			return err
		}
	}
}

// orderFailed says what is not known of an order without an answer.
func (c *Client) orderFailed(o *Order, err error) error {
	err = c.fail(o.Kind.String(), err)
	var e *Error
	if errors.As(err, &e) && !o.DryRun && (e.Kind == ErrTimeout || e.Kind == ErrNoAgent || errors.Is(e.Err, context.Canceled)) {
		e.Hint = "whether the order was given is not known: see the agent's log"
	}
	return err
}

// Stats returns all counters and gauges, sorted by name and labels.
func (c *Client) Stats(ctx context.Context) ([]Stat, error) {
	m, err := c.rpc.Stats(ctx, &pb.StatsRequest{})
	if err != nil {
		return nil, c.fail("stats", err)
	}
	list := convert(m.GetStats(), toStat)
	sortStats(list)
	return list, nil
}

func (c *Client) malformed(op string, err error) error {
	return &Error{Op: op, Path: c.path, Err: fmt.Errorf("the agent's answer makes no sense: %w", err)}
}
