package unixctl

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/pkg/unixctl/ovstest"
)

func TestRealDaemon(t *testing.T) {
	ovs, _ := ovstest.StartAlone(t)
	c := &Client{Rundir: ovs.Rundir}

	version, err := c.Call(t.Context(), "version")
	if err != nil || !strings.HasPrefix(version, "ovs-vswitchd (Open vSwitch)") {
		t.Errorf("version: %q, %v", version, err)
	}
	_, err = c.Call(t.Context(), "fdb/show", "no-such-bridge")
	var refused *MethodError
	if !errors.As(err, &refused) || refused.Method != "fdb/show" || refused.Message != "no such bridge" {
		t.Errorf("unknown bridge: %v", err)
	}
	if _, err = c.Call(t.Context(), "no/such/method"); !errors.As(err, &refused) {
		t.Errorf("unknown method: %v", err)
	}
	c.Daemon = "ovsdb-server"
	if _, err := c.Call(t.Context(), "list-commands"); err != nil {
		t.Errorf("another daemon: %v", err)
	}
}

// serve starts a daemon that answers each request by calling answer, and
// returns a client for it.
func serve(t *testing.T, answer func(net.Conn)) *Client {
	t.Helper()
	dir := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, "ovs-vswitchd.77.ctl"))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			request := make([]byte, 4096)
			if _, err := conn.Read(request); err == nil {
				answer(conn)
			}
			conn.Close()
		}
	}()
	if err := os.WriteFile(filepath.Join(dir, "ovs-vswitchd.pid"), []byte("77\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return &Client{Rundir: dir, Timeout: 10 * time.Second}
}

func say(text string) func(net.Conn) {
	return func(conn net.Conn) { _, _ = conn.Write([]byte(text)) }
}

func TestReplies(t *testing.T) {
	tests := []struct {
		name, reply, want string
		err               error
	}{
		{name: "plain", reply: `{"id":1,"result":"yes","error":null}`, want: "yes"},
		{name: "empty text", reply: `{"id":1,"result":"","error":null}`},
		{name: "more behind it", reply: `{"id":1,"result":"a","error":null}{"id":2`, want: "a"},
		{name: "other id", reply: `{"id":2,"result":"a","error":null}`, err: ErrProtocol},
		{name: "no id", reply: `{"result":"a"}`, err: ErrProtocol},
		{name: "neither", reply: `{"id":1}`, err: ErrProtocol},
		{name: "number", reply: `{"id":1,"result":5}`, err: ErrProtocol},
		{name: "array", reply: `[]`, err: ErrProtocol},
		{name: "cut", reply: `{"id":1,"result":"a`, err: ErrProtocol},
		{name: "nothing", reply: ``, err: ErrProtocol},
		{name: "not JSON", reply: "\x00\xff", err: ErrProtocol},
		{name: "deep", reply: strings.Repeat("[", 1<<20), err: ErrProtocol},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := serve(t, say(test.reply)).Call(t.Context(), "m")
			if got != test.want || !errors.Is(err, test.err) {
				t.Errorf("%q, %v; want %q, %v", got, err, test.want, test.err)
			}
		})
	}
}

func TestEndlessReply(t *testing.T) {
	c := serve(t, func(conn net.Conn) {
		chunk := []byte(strings.Repeat("a", 1<<16))
		_, err := conn.Write([]byte(`{"id":1,"result":"`))
		for err == nil {
			_, err = conn.Write(chunk)
		}
	})
	if _, err := c.Call(t.Context(), "m"); !errors.Is(err, ErrProtocol) {
		t.Errorf("%v", err)
	}
}

func TestSilentDaemon(t *testing.T) {
	hold := make(chan struct{})
	c := serve(t, func(net.Conn) { <-hold })
	t.Cleanup(func() { close(hold) })
	c.Timeout = 20 * time.Millisecond
	if _, err := c.Call(t.Context(), "m"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("timeout: %v", err)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	hold := make(chan struct{})
	c := serve(t, func(net.Conn) { cancel(); <-hold })
	t.Cleanup(func() { close(hold) })
	if _, err := c.Call(ctx, "m"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestNotRunning(t *testing.T) {
	dir := t.TempDir()
	c := &Client{Rundir: dir}
	check := func(name string) {
		t.Helper()
		if _, err := c.Call(t.Context(), "m"); !errors.Is(err, ErrNotRunning) {
			t.Errorf("%s: %v", name, err)
		}
	}
	check("no pidfile")
	pidfile := filepath.Join(dir, "ovs-vswitchd.pid")
	for _, text := range []string{"", "x", "-5", "0", "../../x", "99999999999", "5 6"} {
		if err := os.WriteFile(pidfile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		check(fmt.Sprintf("pidfile %q", text))
	}
	if err := os.WriteFile(pidfile, []byte("5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	check("no socket")
	l, err := net.Listen("unix", filepath.Join(dir, "ovs-vswitchd.5.ctl"))
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	check("nobody listens")
}

func TestPermission(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("missing: root, to act as somebody else")
	}
	c := serve(t, say(`{"id":1,"result":""}`))
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with its identity
		if _, _, errno := unix.RawSyscall(unix.SYS_SETFSUID, 65534, 0, 0); errno != 0 {
			result <- errno
			return
		}
		_, err := c.Call(t.Context(), "m")
		result <- err
	}()
	if err := <-result; !errors.Is(err, ErrPermission) {
		t.Errorf("%v", err)
	}
}
