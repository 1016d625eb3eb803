package file

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

const limit = 10 * time.Second

// content is a file with one port.
func content(port string) string { return "ports: [{id: " + port + "}]\nsecurity_groups: []\n" }

// running is a Source under test, and what it tells.
type running struct {
	t    *testing.T
	news chan secgroup.News
}

// start runs a source for which only an event says that a fresh file is whole. Unless
// polled, it would take an hour to look without an event.
func start(t *testing.T, path string, polled bool) *running {
	t.Helper()
	s := New(Config{Path: path, Poll: time.Hour})
	s.settle = time.Hour
	if polled {
		s.cfg.Poll = time.Millisecond
	}
	r := &running{t: t, news: make(chan secgroup.News, 100)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx, func(n secgroup.News) { r.news <- n }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v", err)
		}
		goleak.VerifyNone(t)
	})
	return r
}

func (r *running) next() secgroup.News {
	r.t.Helper()
	select {
	case n := <-r.news:
		return n
	case <-time.After(limit):
		r.t.Fatalf("nothing was told within %v", limit)
		panic("unreachable")
	}
}

// wantPort waits for news, of which a port of that name is a part.
func (r *running) wantPort(port string, reset bool) {
	r.t.Helper()
	n := r.next()
	if n.Err != nil || n.Update == nil || n.Update.Reset != reset {
		r.t.Fatalf("got %+v", n)
	}
	for name, p := range n.Update.Ports {
		if string(name) == port && p != nil {
			return
		}
	}
	r.t.Fatalf("the ports are %v, not %s", n.Update.Ports, port)
}

func (r *running) wantErr(target error) {
	r.t.Helper()
	if n := r.next(); n.Update != nil || !errors.Is(n.Err, target) {
		r.t.Fatalf("got %+v, not %v", n, target)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// settledFile is a file whose last change is long ago.
func settledFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "groups.yaml")
	write(t, path, text)
	age(t, path)
	return path
}

func age(t *testing.T, path string) {
	t.Helper()
	ago := time.Now().Add(-24 * time.Hour)
	if err := os.Chtimes(path, ago, ago); err != nil {
		t.Fatal(err)
	}
}

func TestReload(t *testing.T) {
	path := settledFile(t, content("a"))
	r := start(t, path, false)
	r.wantPort("a", true)

	// replaced, as by an editor or a configuration management
	write(t, path+".new", content("b"))
	rename(t, path+".new", path)
	r.wantPort("b", false)

	// written in place
	write(t, path, content("c"))
	r.wantPort("c", false)

	// with the same content: nothing to tell
	write(t, path, content("c"))
	write(t, path, content("d"))
	r.wantPort("d", false)
}

// TestWrong: an error is told, and the last good state is what the next difference is to.
func TestWrong(t *testing.T) {
	path := settledFile(t, content("a"))
	r := start(t, path, false)
	r.wantPort("a", true)
	for range 2 {
		write(t, path+".new", "ports: {}\n")
		rename(t, path+".new", path)
	}
	n := r.next()
	var e *Error
	if n.Update != nil || !errors.As(n.Err, &e) || e.Line != 1 || e.Field != "ports" {
		t.Fatalf("got %+v", n)
	}
	// back to what it was: no difference, and no error any more. The second time that the
	// wrong content was written nothing was told.
	write(t, path+".new", content("a"))
	rename(t, path+".new", path)
	if n := r.next(); n.Update != nil || n.Err != nil {
		t.Fatalf("got %+v", n)
	}
}

func TestRemoved(t *testing.T) {
	path := settledFile(t, content("a"))
	r := start(t, path, false)
	r.wantPort("a", true)
	rename(t, path, path+".away")
	r.wantErr(fs.ErrNotExist)
	rename(t, path+".away", path)
	if n := r.next(); n.Update != nil || n.Err != nil {
		t.Fatalf("got %+v", n)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	r.wantErr(fs.ErrNotExist)
}

// TestLate: the first thing told of a source is everything, whatever was wrong before.
func TestLate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "groups.yaml")
	r := start(t, path, false)
	r.wantErr(fs.ErrNotExist)
	write(t, path, content("a"))
	r.wantPort("a", true)
}

// TestHalf: what is being written is not read before its writer is done.
func TestHalf(t *testing.T) {
	path := settledFile(t, content("a"))
	r := start(t, path, false)
	r.wantPort("a", true)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("ports: []\nsecurity_groups: []\n"); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(filepath.Dir(path), "other"), "") // an event that has nothing to do with it
	if _, err := f.WriteString("address_groups: []\n#"); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(0); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte(content("b")), 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	r.wantPort("b", false)
}

// TestFolderReplaced: the folder that was watched is another one.
func TestFolderReplaced(t *testing.T) {
	top := t.TempDir()
	for _, name := range []string{"now", "later"} {
		if err := os.Mkdir(filepath.Join(top, name), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(top, name, "groups.yaml"), content(name))
		age(t, filepath.Join(top, name, "groups.yaml"))
	}
	r := start(t, filepath.Join(top, "now", "groups.yaml"), true)
	r.wantPort("now", true)
	rename(t, filepath.Join(top, "now"), filepath.Join(top, "before"))
	r.wantErr(fs.ErrNotExist)
	rename(t, filepath.Join(top, "later"), filepath.Join(top, "now"))
	r.wantPort("later", false)
	write(t, filepath.Join(top, "now", "groups.yaml"), content("again"))
	r.wantPort("again", false)
}

// TestLink is how Kubernetes replaces what a pod reads: a link to a folder changes.
func TestLink(t *testing.T) {
	top := t.TempDir()
	for _, name := range []string{"1", "2"} {
		if err := os.Mkdir(filepath.Join(top, name), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(top, name, "groups.yaml"), content("port"+name))
		age(t, filepath.Join(top, name, "groups.yaml"))
	}
	link(t, "1", filepath.Join(top, "data"))
	link(t, "data/groups.yaml", filepath.Join(top, "groups.yaml"))
	r := start(t, filepath.Join(top, "groups.yaml"), false)
	r.wantPort("port1", true)
	link(t, "2", filepath.Join(top, "data.new"))
	rename(t, filepath.Join(top, "data.new"), filepath.Join(top, "data"))
	r.wantPort("port2", false)
}

// TestRead: a fresh file is read only when its writer is known to be done.
func TestRead(t *testing.T) {
	path := settledFile(t, content("a"))
	now := time.Now()
	for _, tt := range []struct {
		name   string
		age    time.Duration
		closed bool
		want   error
	}{
		{"fresh", time.Millisecond, false, errUnsettled},
		{"fresh and closed", time.Millisecond, true, nil},
		{"settled", settled, false, nil},
		{"from the future", -time.Hour, false, nil},
	} {
		if err := os.Chtimes(path, now, now.Add(-tt.age)); err != nil {
			t.Fatal(err)
		}
		data, _, err := read(path, tt.closed, now, settled)
		if !errors.Is(err, tt.want) || err == nil && string(data) != content("a") {
			t.Errorf("%s: %q, %v", tt.name, data, err)
		}
	}
	write(t, path, "")
	if _, _, err := read(path, true, time.Now(), time.Hour); !errors.Is(err, errUnsettled) {
		t.Errorf("just truncated: %v", err)
	}
}

// TestPatience: a file that is written for too long is unknown.
func TestPatience(t *testing.T) {
	r := &reader{Source: New(Config{})}
	if !r.patient(errUnsettled) {
		t.Error("not patient at first")
	}
	r.unsettled = r.unsettled.Add(-patience)
	if r.patient(errUnsettled) {
		t.Error("patient after that time")
	}
	if r.patient(nil) || !r.patient(errUnsettled) {
		t.Error("a file that was read did not begin a new time")
	}
}

// TestNotAFile: nothing that would block is read.
func TestNotAFile(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir, false)
	if n := r.next(); n.Update != nil || n.Err == nil {
		t.Fatalf("got %+v", n)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, to, path string) {
	t.Helper()
	if err := os.Symlink(to, path); err != nil {
		t.Fatal(err)
	}
}
