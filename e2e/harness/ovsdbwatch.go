package harness

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Updates are the changes of a database, with the times at which they arrived here. Its
// methods may be called from several goroutines.
type Updates struct {
	mu   sync.Mutex
	list []DatabaseUpdate
}

// DatabaseUpdate is what one transaction has changed.
type DatabaseUpdate struct {
	At     time.Time
	Tables map[string]json.RawMessage
}

// WatchSB listens to those tables of the Southbound database that say what is permitted
// and where, until the test ends.
func (o *OVN) WatchSB() *Updates {
	o.w.T.Helper()
	return watchDatabase(o.w.T, o.SB(), "OVN_Southbound", "Logical_Flow", "Port_Group", "Address_Set", "Port_Binding")
}

// WatchNB is the same of the Northbound database.
func (o *OVN) WatchNB() *Updates {
	o.w.T.Helper()
	return watchDatabase(o.w.T, o.NB(), "OVN_Northbound", "ACL", "Port_Group", "Address_Set", "Logical_Switch_Port")
}

func watchDatabase(t testing.TB, remote, database string, tables ...string) *Updates {
	t.Helper()
	conn, err := dialBlocking(strings.TrimPrefix(remote, "unix:"))
	if err != nil {
		t.Fatal(err)
	}
	wanted := map[string]any{}
	for _, table := range tables {
		wanted[table] = map[string]any{"select": map[string]bool{"initial": false}}
	}
	request := map[string]any{"method": "monitor", "params": []any{database, nil, wanted}, "id": 1}
	if err := json.NewEncoder(conn).Encode(request); err != nil {
		t.Fatal(err)
	}
	u := &Updates{}
	ready := make(chan error, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		punctual()
		u.read(conn, ready)
	}()
	t.Cleanup(func() {
		_ = unix.Shutdown(int(conn), unix.SHUT_RDWR)
		<-ended
		_ = unix.Close(int(conn))
	})
	select {
	case err := <-ready:
		if err != nil {
			t.Fatalf("monitor %s: %v", database, err)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("monitor %s: no answer", database)
	}
	return u
}

func (u *Updates) read(conn io.ReadWriter, ready chan<- error) {
	in := json.NewDecoder(conn)
	for {
		var m struct {
			ID     json.RawMessage   `json:"id"`
			Method string            `json:"method"`
			Params []json.RawMessage `json:"params"`
			Error  any               `json:"error"`
		}
		if err := in.Decode(&m); err != nil {
			return // the server or the test has ended
		}
		at := time.Now()
		switch {
		case m.Method == "echo":
			_ = json.NewEncoder(conn).Encode(map[string]any{"result": m.Params, "error": nil, "id": m.ID})
		case m.Method == "update" && len(m.Params) == 2:
			var tables map[string]json.RawMessage
			_ = json.Unmarshal(m.Params[1], &tables)
			u.mu.Lock()
			u.list = append(u.list, DatabaseUpdate{at, tables})
			u.mu.Unlock()
		case m.Error != nil:
			ready <- fmt.Errorf("%v", m.Error)
		case m.Method == "":
			ready <- nil
		}
	}
}

// blocking is a socket whose reader waits in the kernel, with no poller between it and the
// clock.
type blocking int

func dialBlocking(path string) (blocking, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return 0, errors.Join(fmt.Errorf("connect %s: %w", path, err), unix.Close(fd))
	}
	return blocking(fd), nil
}

func (b blocking) Read(p []byte) (int, error) {
	for {
		n, err := unix.Read(int(b), p)
		switch {
		case errors.Is(err, unix.EINTR):
		case err == nil && n == 0:
			return 0, io.EOF
		default:
			return max(n, 0), err
		}
	}
}

func (b blocking) Write(p []byte) (int, error) { return unix.Write(int(b), p) }

// Since are the updates that arrived after a moment.
func (u *Updates) Since(moment time.Time) (later []DatabaseUpdate) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, x := range u.list {
		if x.At.After(moment) {
			later = append(later, x)
		}
	}
	return later
}
