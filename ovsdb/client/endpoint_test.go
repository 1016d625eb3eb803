package client

import (
	"errors"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/ovsdb/ovsdbtest"
)

func TestParseRemotes(t *testing.T) {
	for text, want := range map[string][]string{
		"unix:/run/db.sock":  {"unix:/run/db.sock"},
		"tcp:127.0.0.1:6640": {"tcp:127.0.0.1:6640"},
		"ssl:10.0.0.1:6642, ssl:[fd00::1]:6642,tcp:host:6640": {"ssl:10.0.0.1:6642", "ssl:[fd00::1]:6642", "tcp:host:6640"},
	} {
		remotes, err := ParseRemotes(text)
		var got []string
		for _, r := range remotes {
			got = append(got, r.String())
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "unix:", "tcp:", "tcp:host", "ssl:[::1]", "/run/db.sock", "udp:1.2.3.4:5", "unix:/a,", ",",
		strings.Repeat("unix:/a,", 100) + "unix:/a"} {
		if _, err := ParseRemotes(bad); err == nil || len(err.Error()) > 300 {
			t.Errorf("%.100q: %v", bad, err)
		}
	}
}

func TestPermissionDenied(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to become somebody else")
	}
	s := ovsdbtest.Start(t, ovsdbtest.OpenVSwitch)
	for path, mode := range map[string]os.FileMode{s.Dir: 0o755, s.Socket: 0o600} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	c, err := New(bridges(s.Endpoint()))
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread is another user's now
		_ = unix.Setfsuid(65534)
		failed <- c.follow(t.Context(), c.remotes[0], newRecorder(t))
	}()
	if err := <-failed; !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "ls -l "+s.Socket) {
		t.Errorf("%v", err)
	}
}
