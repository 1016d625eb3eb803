package control

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// socketPath returns a short path: the kernel bounds it.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ctl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "run", "control.sock")
}

func listen(t *testing.T, path string) net.Listener {
	t.Helper()
	ln, err := Listen(t.Context(), Socket{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

func TestListenPermissions(t *testing.T) {
	old := syscall.Umask(0) // the socket must not depend on it
	defer syscall.Umask(old)
	path := socketPath(t)
	listen(t, path)

	for name, want := range map[string]fs.FileMode{
		path:               0o660 | fs.ModeSocket,
		filepath.Dir(path): 0o755 | fs.ModeDir,
		path + ".lock":     0o600,
	} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %s, want %s", name, info.Mode(), want)
		}
	}
}

func TestListenGroup(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to give a socket to another group")
	}
	daemon, err := user.LookupGroup("daemon")
	if err != nil {
		t.Skip("needs the group daemon")
	}
	path := socketPath(t)
	ln, err := Listen(t.Context(), Socket{Path: path, Group: "daemon"})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if gid := info.Sys().(*syscall.Stat_t).Gid; strconv.Itoa(int(gid)) != daemon.Gid {
		t.Errorf("socket has group %d, want %s", gid, daemon.Gid)
	}
}

func TestListenUnknownGroup(t *testing.T) {
	path := socketPath(t)
	_, err := Listen(t.Context(), Socket{Path: path, Group: "no-such-group"})
	if err == nil || !strings.Contains(err.Error(), `group "no-such-group" does not exist`) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a socket stands there: %v", err)
	}
}

func TestListenRefusesLivingAgent(t *testing.T) {
	path := socketPath(t)
	ln := listen(t, path)
	_, err := Listen(t.Context(), Socket{Path: path})
	if !errors.Is(err, ErrInUse) {
		t.Fatalf("got %v, want ErrInUse", err)
	}
	if _, err := net.Dial("unix", path); err != nil {
		t.Errorf("the first agent was disturbed: %v", err)
	}
	ln.Close()
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Close left the socket: %v", err)
	}
	listen(t, path)
}

// TestListenRefusesLiveSocketWithoutLock is an agent whose lock file was deleted.
func TestListenRefusesLiveSocketWithoutLock(t *testing.T) {
	path := socketPath(t)
	listen(t, path)
	if err := os.Remove(path + ".lock"); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(t.Context(), Socket{Path: path}); !errors.Is(err, ErrInUse) {
		t.Errorf("got %v, want ErrInUse", err)
	}
}

func TestListenReplacesStaleSocket(t *testing.T) {
	path := socketPath(t)
	if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()

	listen(t, path)
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".c*"))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestListenLeavesOtherFilesAlone(t *testing.T) {
	for name, create := range map[string]func(string) error{
		"file":          func(p string) error { return os.WriteFile(p, []byte("precious"), 0o600) },
		"directory":     func(p string) error { return os.Mkdir(p, 0o700) },
		"symbolic link": func(p string) error { return os.Symlink("/nowhere", p) },
	} {
		t.Run(name, func(t *testing.T) {
			path := socketPath(t)
			if err := errors.Join(os.Mkdir(filepath.Dir(path), 0o755), create(path)); err != nil {
				t.Fatal(err)
			}
			_, err := Listen(t.Context(), Socket{Path: path})
			if err == nil || !strings.Contains(err.Error(), "in the way is a "+name) {
				t.Errorf("got %v", err)
			}
			if _, err := os.Lstat(path); err != nil {
				t.Errorf("it is gone: %v", err)
			}
		})
	}
}

func TestListenPathTooLong(t *testing.T) {
	_, err := Listen(t.Context(), Socket{Path: "/tmp/" + strings.Repeat("x", 103)})
	if err == nil || !strings.Contains(err.Error(), "path has 108 bytes, at most 107") {
		t.Errorf("got %v", err)
	}
}

// TestListenRace starts many agents on one stale socket: one may win.
func TestListenRace(t *testing.T) {
	path := socketPath(t)
	listen(t, path).(*listener).crash()
	var wg sync.WaitGroup
	results := make(chan net.Listener, 16)
	for range cap(results) {
		wg.Go(func() {
			ln, err := Listen(context.Background(), Socket{Path: path})
			if err != nil && !errors.Is(err, ErrInUse) {
				t.Errorf("got %v, want ErrInUse", err)
			}
			results <- ln
		})
	}
	wg.Wait()
	close(results)
	won := 0
	for ln := range results {
		if ln != nil {
			won++
			ln.Close()
		}
	}
	if won != 1 {
		t.Errorf("%d agents listen, want 1", won)
	}
}

// crash ends a listener as kill -9 does: the kernel closes what it held.
func (l *listener) crash() {
	l.once.Do(func() {
		l.Listener.Close()
		l.lock.Close()
	})
}

func TestDialErrors(t *testing.T) {
	path := socketPath(t)
	if _, err := Dial(t.Context(), path); !errors.Is(err, ErrNoAgent) {
		t.Errorf("without a socket: %v, want ErrNoAgent", err)
	}
	listen(t, path).(*listener).crash()
	if _, err := Dial(t.Context(), path); !errors.Is(err, ErrNoAgent) {
		t.Errorf("with a stale socket: %v, want ErrNoAgent", err)
	}
}

// TestListenRespectsLock is the moment at which another agent that starts holds
// the lock and has not bound its socket yet.
func TestListenRespectsLock(t *testing.T) {
	path := socketPath(t)
	listen(t, path).(*listener).crash()
	other, err := os.Open(path + ".lock")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := syscall.Flock(int(other.Fd()), syscall.LOCK_SH); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(t.Context(), Socket{Path: path}); !errors.Is(err, ErrInUse) {
		t.Errorf("got %v, want ErrInUse", err)
	}
}
