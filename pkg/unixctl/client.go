package unixctl

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// DefaultRundir is where distributions let OVS keep its pidfiles and sockets.
const DefaultRundir = "/var/run/openvswitch"

const (
	maxPidfile     = 32
	maxReply       = 16 << 20 // 16 MiB hold 350,000 lines of fdb/show
	defaultTimeout = 5 * time.Second
)

// Client calls methods of one daemon. It holds no connection: each call finds
// the daemon anew, so restarts need no care. The zero value is ready for
// ovs-vswitchd in DefaultRundir. Calls may be concurrent.
type Client struct {
	Rundir  string        // "" means DefaultRundir
	Daemon  string        // "" means "ovs-vswitchd"
	Timeout time.Duration // of a call whose context has no deadline; 0 means 5 s
	// MaxReply bounds a reply, in bytes as they are sent; 0 means 16 MiB.
	MaxReply int64
}

// Call calls a method and returns its text. An error wraps ErrNotRunning,
// ErrPermission, ErrProtocol or the context's error, or is a *MethodError.
func (c *Client) Call(ctx context.Context, method string, args ...string) (string, error) {
	result, err := c.call(ctx, method, args)
	if _, ok := errors.AsType[*MethodError](err); err != nil && !ok {
		return "", fmt.Errorf("%s %s: %w", c.daemon(), method, err)
	}
	return result, err
}

func (c *Client) call(ctx context.Context, method string, args []string) (string, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, cmp.Or(c.Timeout, defaultTimeout))
		defer cancel()
	}
	path, err := c.socket()
	if err != nil {
		return "", reachError(err)
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		return "", reachError(err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := writeRequest(conn, method, args); err != nil {
		return "", ioError(ctx.Err(), err)
	}
	return readReply(ctx, conn, method, cmp.Or(c.MaxReply, maxReply))
}

func (c *Client) daemon() string { return cmp.Or(c.Daemon, "ovs-vswitchd") }

// socket returns the path that the running daemon's pidfile leads to.
func (c *Client) socket() (string, error) {
	rundir := cmp.Or(c.Rundir, DefaultRundir)
	pidfile := filepath.Join(rundir, c.daemon()+".pid")
	f, err := os.Open(pidfile)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPidfile))
	if err != nil {
		return "", err
	}
	pid, err := strconv.ParseUint(string(bytes.TrimSpace(text)), 10, 31)
	if err != nil || pid == 0 {
		return "", fmt.Errorf("%w: %s holds no process id", ErrNotRunning, pidfile)
	}
	return filepath.Join(rundir, fmt.Sprintf("%s.%d.ctl", c.daemon(), pid)), nil
}

type request struct {
	ID     int      `json:"id"`
	Method string   `json:"method"`
	Params []string `json:"params"`
}

type reply struct {
	ID     *int    `json:"id"`
	Result *string `json:"result"`
	Error  *string `json:"error"`
}

func writeRequest(conn net.Conn, method string, args []string) error {
	if args == nil {
		args = []string{} // null is not an array
	}
	b, err := json.Marshal(request{ID: 1, Method: method, Params: args})
	if err != nil {
		return err
	}
	_, err = conn.Write(b)
	return err
}

func readReply(ctx context.Context, conn net.Conn, method string, most int64) (string, error) {
	limited := &io.LimitedReader{R: conn, N: most}
	var r reply
	if err := json.NewDecoder(limited).Decode(&r); err != nil {
		var netErr net.Error
		switch {
		case limited.N <= 0:
			return "", fmt.Errorf("%w: longer than %d bytes", ErrProtocol, most)
		case errors.As(err, &netErr):
			return "", ioError(ctx.Err(), err)
		default:
			return "", fmt.Errorf("%w: %w", ErrProtocol, err)
		}
	}
	switch {
	case r.ID == nil || *r.ID != 1:
		return "", fmt.Errorf("%w: the id is not that of the request", ErrProtocol)
	case r.Error != nil:
		return "", &MethodError{Method: method, Message: string(bytes.TrimSpace([]byte(*r.Error)))}
	case r.Result == nil:
		return "", fmt.Errorf("%w: neither result nor error", ErrProtocol)
	default:
		return *r.Result, nil
	}
}
