package cli

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test's own program stand in for an agent whose stop hangs.
func TestMain(m *testing.M) {
	if os.Getenv("FLOWSHUNT_TEST_HANGS") == "" {
		os.Exit(m.Run())
	}
	ctx, _ := UntilSignal(context.Background())
	os.Stdout.WriteString("up\n")
	<-ctx.Done()
	os.Stdout.WriteString("stopping\n")
	time.Sleep(time.Minute)
}

// The first signal asks for a stop, the second one does not wait for it.
func TestSignals(t *testing.T) {
	for _, first := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		// Whoever runs the tests may ignore signals (nohup, a shell's background), which
		// is inherited.
		cmd := exec.Command("env", "--default-signal=HUP,INT,TERM,PIPE", os.Args[0])
		cmd.Env = append(os.Environ(), "FLOWSHUNT_TEST_HANGS=1")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill() })
		line := func(want string) {
			t.Helper()
			timer := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
			defer timer.Stop()
			buf := make([]byte, 100)
			if n, err := out.Read(buf); err != nil || strings.TrimSpace(string(buf[:n])) != want {
				t.Fatalf("%q, %v, want %q", buf[:n], err, want)
			}
		}
		line("up")
		signal := func(s syscall.Signal) {
			if err := cmd.Process.Signal(s); err != nil {
				t.Fatal(err)
			}
		}
		signal(syscall.SIGPIPE)
		signal(first)
		line("stopping")
		// The handler is taken away a moment after the context has ended.
		killed := make(chan error, 1)
		go func() { killed <- cmd.Wait() }()
		ticker := time.NewTicker(10 * time.Millisecond)
		defer ticker.Stop()
		limit := time.After(20 * time.Second)
		for done := false; !done; {
			select {
			case err := <-killed:
				var exit *exec.ExitError
				if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
					t.Errorf("ended with %v", err)
				}
				done = true
			case <-ticker.C:
				_ = cmd.Process.Signal(syscall.SIGTERM)
			case <-limit:
				t.Fatal("a second signal does not end it")
			}
		}
	}
}
