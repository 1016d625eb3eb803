package client

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/flowshunt/flowshunt/ovsdb/ovsdbtest"
	"github.com/flowshunt/flowshunt/ovsdb/vswitchd"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bridges is a configuration that reads a little of Open_vSwitch.
func bridges(remotes string) Config {
	return Config{
		Remotes: remotes, Database: "Open_vSwitch", InOrder: true,
		Inactivity: 10 * time.Second, MinBackoff: 5 * time.Millisecond, MaxBackoff: 50 * time.Millisecond,
		Tables: []Table{
			{Name: "Bridge", Row: (*vswitchd.Bridge)(nil), Needed: true, Columns: []string{"name", "ports", "external_ids", "fail_mode", "flood_vlans"}},
			{Name: "Port", Row: (*vswitchd.Port)(nil), Columns: []string{"name", "tag"}},
		},
	}
}

// recorder is a Handler that keeps a replica of what it is told, and complains about what
// does not fit together.
type recorder struct {
	t    testing.TB
	mu   sync.Mutex
	rows map[string]map[string]any // by table and uuid
	sync bool
	err  error
	errs []error // all so far
	told []Batch // since Synced
	news chan struct{}
}

func newRecorder(t testing.TB) *recorder { return &recorder{t: t, news: make(chan struct{}, 1)} }

func (r *recorder) note() {
	select {
	case r.news <- struct{}{}:
	default:
	}
}

func (r *recorder) Synced(all Batch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.note()
	if r.sync {
		r.t.Error("synced twice")
	}
	r.sync, r.err, r.rows, r.told = true, nil, map[string]map[string]any{}, nil
	r.apply(all)
}

func (r *recorder) Changed(some Batch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.note()
	if !r.sync || len(some) == 0 {
		r.t.Errorf("%d changes while synced is %v", len(some), r.sync)
	}
	r.told = append(r.told, some)
	r.apply(some)
}

func (r *recorder) Lost(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.note()
	r.sync, r.err, r.errs = false, err, append(r.errs, err)
}

func (r *recorder) apply(b Batch) {
	for _, c := range b {
		rows := r.rows[c.Table]
		if rows == nil {
			rows = map[string]any{}
			r.rows[c.Table] = rows
		}
		if rows[c.UUID] != c.Old {
			r.t.Errorf("%s %s: old is %+v, was told as %+v", c.Table, c.UUID, c.Old, rows[c.UUID])
		}
		if c.New == nil {
			delete(rows, c.UUID)
			continue
		}
		if uuid := reflect.ValueOf(c.New).Elem().FieldByName("UUID"); uuid.String() != c.UUID {
			r.t.Errorf("%s %s: UUID is %v", c.Table, c.UUID, uuid)
		}
		rows[c.UUID] = c.New
	}
}

// await waits for a state of what was told.
func (r *recorder) await(what string, good func(*recorder) bool) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), ovsdbtest.Patience)
	defer cancel()
	for {
		r.mu.Lock()
		fine := good(r)
		state := fmt.Sprintf("synced %v, error %v, rows %+v", r.sync, r.err, r.rows)
		r.mu.Unlock()
		if fine {
			return
		}
		select {
		case <-r.news:
		case <-ctx.Done():
			r.t.Fatalf("waiting for %s: %.2000s", what, state)
		}
	}
}

func synced(r *recorder) bool { return r.sync }
func lost(r *recorder) bool   { return !r.sync && r.err != nil }

// failed waits for an error, sooner or later.
func failed(want error) func(*recorder) bool {
	return func(r *recorder) bool {
		return slices.ContainsFunc(r.errs, func(err error) bool { return errors.Is(err, want) })
	}
}

// bridge finds a bridge by its name.
func (r *recorder) bridge(name string) *vswitchd.Bridge {
	for _, row := range r.rows["Bridge"] {
		if b := Row[vswitchd.Bridge](row); b.Name == name {
			return b
		}
	}
	return nil
}

func hasBridge(name string) func(*recorder) bool {
	return func(r *recorder) bool { return r.sync && r.bridge(name) != nil }
}

// run runs a client until the test ends.
func run(t testing.TB, cfg Config) (*Client, *recorder) {
	t.Helper()
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r := newRecorder(t)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx, r) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != context.Canceled {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(ovsdbtest.Patience):
			t.Error("Run does not end with its context")
		}
	})
	return c, r
}

func TestFollowsTheDatabase(t *testing.T) {
	s := ovsdbtest.Start(t, ovsdbtest.OpenVSwitch)
	c, r := run(t, bridges(s.Endpoint()))
	r.await("the empty database", synced)
	s.VSCtl("init", "--", "add-br", "br0", "--", "set", "Bridge", "br0", "fail_mode=secure", "external_ids:a=1", "external_ids:b=2", "flood_vlans=1,2,3")
	r.await("br0", hasBridge("br0"))
	s.VSCtl("set", "Bridge", "br0", "external_ids:a=3", "flood_vlans=2,3,4", "--", "remove", "Bridge", "br0", "external_ids", "b", "--", "clear", "Bridge", "br0", "fail_mode")
	r.await("its changes", func(r *recorder) bool {
		b := r.bridge("br0")
		return reflect.DeepEqual(b.ExternalIDs, map[string]string{"a": "3"}) && reflect.DeepEqual(b.FloodVLANs, []int{2, 3, 4}) && b.FailMode == nil
	})
	r.mu.Lock()
	if n := len(r.told[len(r.told)-1]); n != 1 {
		t.Errorf("%d changes in the last transaction: %+v", n, r.told)
	}
	r.mu.Unlock()
	s.VSCtl("del-br", "br0")
	r.await("its end", func(r *recorder) bool { return len(r.rows["Bridge"]) == 0 && len(r.rows["Port"]) == 0 })
	if st := c.State(); !st.Synced || st.Err != nil || st.Endpoint.String() != s.Endpoint() {
		t.Errorf("%+v", st)
	}
	s.Kill()
	r.await("the loss", lost)
	if st := c.State(); st.Synced || st.Err == nil {
		t.Errorf("%+v", st)
	}
}
