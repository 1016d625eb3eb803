package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/cmd/flowshuntctl/internal/cli"
	"github.com/flowshunt/flowshunt/ovsdb/ovsdbtest"
)

// ctl runs flowshuntctl on a server and returns what it says.
func ctl(ctx context.Context, s *ovsdbtest.Server, line string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	args := append([]string{"--db=" + s.Endpoint(), "--database=Open_vSwitch"}, strings.Fields(line)...)
	code = cli.Run(ctx, cli.Env{Stdout: &out, Stderr: &err}, args)
	return code, out.String(), err.String()
}

// must wants a line to succeed.
func must(t *testing.T, s *ovsdbtest.Server, line string) string {
	t.Helper()
	code, stdout, stderr := ctl(t.Context(), s, line)
	if code != 0 {
		t.Fatalf("%s: exit code %d, %s", line, code, stderr)
	}
	return stdout
}

// withBridge starts a server that has bridge br0.
func withBridge(t *testing.T) *ovsdbtest.Server {
	t.Helper()
	s := ovsdbtest.Start(t, ovsdbtest.OpenVSwitch)
	must(t, s, "--id=@b create Bridge name=br0 -- create Open_vSwitch bridges=@b")
	return s
}

// wait-until ends with the change that it waits for, whoever makes it, and sees it.
func TestWaitUntil(t *testing.T) {
	s := withBridge(t)
	said := make(chan string, 1)
	go func() {
		code, stdout, stderr := ctl(t.Context(), s, "--timeout=30 wait-until Bridge br1 other_config:n>=3 -- get Bridge br1 other_config")
		said <- fmt.Sprint(code, stdout, stderr)
	}()
	must(t, s, "--id=@b create Bridge name=br1 -- add Open_vSwitch . bridges @b")
	for n := range 4 {
		select {
		case text := <-said:
			t.Fatalf("ended at %d: %s", n, text)
		default:
		}
		must(t, s, fmt.Sprintf("set Bridge br1 other_config:n=%d", n))
	}
	if text := <-said; text != "0{n=\"3\"}\n" {
		t.Errorf("it said %q", text)
	}
}

// Two operators at once lose nothing of each other, and each sees its own.
func TestTwoWriters(t *testing.T) {
	s := withBridge(t)
	const writers, each = 4, 25
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for i := range each {
				vlan := w*each + i
				code, _, stderr := ctl(t.Context(), s, fmt.Sprintf("add Bridge br0 flood_vlans %d -- set Bridge br0 other_config:%d=x -- get Bridge br0 name flood_vlans", vlan, vlan))
				if code != 0 {
					t.Errorf("writer %d: %s", w, stderr)
				}
			}
		})
	}
	group.Wait()
	if got := must(t, s, "--bare --columns=flood_vlans list Bridge"); len(strings.Fields(got)) != writers*each {
		t.Errorf("of %d vlans there are %s", writers*each, got)
	}
	if got := must(t, s, "--bare --columns=other_config list Bridge"); len(strings.Fields(got)) != writers*each {
		t.Errorf("of %d keys there are %s", writers*each, got)
	}
}

// Without a server, with one that hangs and with one that goes, a command ends.
func TestNoServer(t *testing.T) {
	s := withBridge(t)
	said := make(chan string, 1)
	go func() {
		code, _, stderr := ctl(t.Context(), s, "wait-until Bridge br1")
		said <- fmt.Sprint(code, " ", stderr)
	}()
	must(t, s, "get Bridge br0 name") // long enough for it to begin, or it fails to connect
	s.Kill()
	if text := <-said; !strings.HasPrefix(text, "1 flowshuntctl: ") {
		t.Errorf("it said %q", text)
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	for line, want := range map[string]int{
		"list Bridge": 1, "--retry --timeout=300ms list Bridge": 142, "--timeout=300ms --db=tcp:" + silent.Addr().String() + " list Bridge": 142,
	} {
		begin := time.Now()
		if code, stdout, stderr := ctl(t.Context(), s, line); code != want || stdout != "" || time.Since(begin) > 5*time.Second {
			t.Errorf("%s: exit code %d after %s, %s%s", line, code, time.Since(begin), stdout, stderr)
		}
	}
}

// --retry waits for a server to come.
func TestRetry(t *testing.T) {
	s := withBridge(t)
	s.Kill()
	said := make(chan string, 1)
	go func() {
		code, stdout, stderr := ctl(t.Context(), s, "--retry --timeout=30 get Bridge br0 name")
		said <- fmt.Sprint(code, stdout, stderr)
	}()
	s.Start()
	if text := <-said; text != "0br0\n" {
		t.Errorf("it said %q", text)
	}
}

// What a change was made by is in the database's log.
func TestLog(t *testing.T) {
	s := withBridge(t)
	must(t, s, "comment ticket-4711 -- set Bridge br0 fail_mode=secure")
	if log := s.Run("ovsdb-tool", "-m", "show-log", s.File); !strings.Contains(log, "flowshuntctl: comment ticket-4711 -- set Bridge br0 fail_mode=secure") {
		t.Errorf("the log is %s", log)
	}
}
