package harness

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
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
	conn, err := net.Dial("unix", strings.TrimPrefix(remote, "unix:"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.(*net.UnixConn).CloseRead() // also of the file below
		_ = conn.Close()
	})
	wanted := map[string]any{}
	for _, table := range tables {
		wanted[table] = map[string]any{"select": map[string]bool{"initial": false}}
	}
	request := map[string]any{"method": "monitor", "params": []any{database, nil, wanted}, "id": 1}
	if err := json.NewEncoder(conn).Encode(request); err != nil {
		t.Fatal(err)
	}
	file, err := conn.(*net.UnixConn).File() // which blocks: no poller between the kernel and the clock
	if err != nil {
		t.Fatal(err)
	}
	u := &Updates{}
	ready := make(chan error, 1)
	go func() {
		defer file.Close()
		punctual()
		u.read(file, ready)
	}()
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

// First waits for the first update after a moment.
func (u *Updates) First(t testing.TB, after time.Time) (first DatabaseUpdate) {
	t.Helper()
	Within(t, 20*time.Second, "an update of the database", func() error {
		later := u.Since(after)
		if len(later) == 0 {
			return fmt.Errorf("none since %v", after)
		}
		first = later[0]
		return nil
	})
	return first
}
