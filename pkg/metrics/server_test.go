package metrics

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/flowshunt/flowshunt/flows/engine"
)

// serving is a server that answers on loopback.
type serving struct {
	url         string
	alive, well atomic.Value // []string: what is wrong
	client      *http.Client
}

func serve(t *testing.T, cfg Config, note func(error)) *serving {
	t.Helper()
	cfg.Listen = "127.0.0.1:0"
	l, err := Listen(t.Context(), cfg, note)
	if err != nil {
		t.Fatal(err)
	}
	s := &serving{url: "http://" + l.Addr().String(), client: &http.Client{Transport: &http.Transport{}}}
	s.alive.Store([]string(nil))
	s.well.Store([]string(nil))
	server := busyServer(false)
	server.Alive = func(context.Context) []string { return s.alive.Load().([]string) }
	server.Ready = func(context.Context) []string { return s.well.Load().([]string) }
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		s.client.CloseIdleConnections()
	})
	return s
}

func (s *serving) do(t *testing.T, method, path string) (code int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestScrape(t *testing.T) {
	s := serve(t, Config{}, nil)
	want := "# HELP flowshunt_sessions " + sessions.help + "\n# TYPE flowshunt_sessions gauge\n"
	for state := engine.Resolving; state <= engine.Removing; state++ { // those without a session too
		n := 0
		if state == engine.Offloaded {
			n = 3
		}
		want += fmt.Sprintf("flowshunt_sessions{state=%q} %d\n", state, n)
	}
	if err := testutil.ScrapeAndCompare(s.url+"/metrics", strings.NewReader(want), sessions.name); err != nil {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
	if _, body := s.do(t, "GET", "/metrics"); !strings.Contains(body, "\nprocess_resident_memory_bytes ") {
		t.Error("nothing about the process")
	}
}

func TestHealth(t *testing.T) {
	s := serve(t, Config{}, nil)
	for path, state := range map[string]*atomic.Value{"/healthz": &s.alive, "/readyz": &s.well} {
		if code, body := s.do(t, "GET", path); code != http.StatusOK || body != "ok\n" {
			t.Errorf("%s: %d %q", path, code, body)
		}
		state.Store([]string{"ovsdb: gone\naway", "engine: no answer"})
		if code, body := s.do(t, "GET", path); code != http.StatusServiceUnavailable || body != "ovsdb: gone; away\nengine: no answer\n" {
			t.Errorf("%s: %d %q", path, code, body)
		}
		state.Store([]string(nil))
		if code, _ := s.do(t, "HEAD", path); code != http.StatusOK {
			t.Errorf("%s again: %d", path, code)
		}
	}
}

func TestNothingElse(t *testing.T) {
	s := serve(t, Config{}, nil)
	for path, want := range map[string]int{"/": 404, "/debug/pprof/": 404, "/metrics/x": 404} {
		if code, _ := s.do(t, "GET", path); code != want {
			t.Errorf("GET %s: %d, want %d", path, code, want)
		}
	}
	for _, method := range []string{"POST", "PUT", "DELETE"} {
		if code, _ := s.do(t, method, "/metrics"); code != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", method, code)
		}
	}
}

func TestHeadersAreBounded(t *testing.T) {
	s := serve(t, Config{}, nil)
	req, _ := http.NewRequestWithContext(t.Context(), "GET", s.url+"/healthz", nil)
	req.Header.Set("X", strings.Repeat("x", 3*maxHeader))
	resp, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("%s", resp.Status)
	}
}

// Clients that say nothing hold no more than their share, and do not stop the end.
func TestConnectionsAreBounded(t *testing.T) {
	l, err := Listen(t.Context(), Config{Listen: "127.0.0.1:0"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan net.Conn, 2*maxConns)
	go func() {
		defer close(accepted)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	var clients []net.Conn
	for range maxConns + 1 {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		clients = append(clients, conn)
	}
	var first net.Conn
	for range maxConns {
		first = <-accepted
		defer first.Close()
	}
	select {
	case <-accepted:
		t.Fatalf("%d connections at a time", len(clients))
	default:
	}
	first.Close()
	last := <-accepted // there is room now
	last.Close()
	l.Close()
	for range accepted {
	}
}

// A listener that fails is an error, the end of the context is none.
func TestListenerFails(t *testing.T) {
	l, err := Listen(t.Context(), Config{Listen: "127.0.0.1:0"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := busyServer(false).Serve(t.Context(), l); err == nil {
		t.Error("no error")
	}
}

func TestAddressTaken(t *testing.T) {
	l, err := Listen(t.Context(), Config{Listen: "127.0.0.1:0"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if again, err := Listen(t.Context(), Config{Listen: l.Addr().String()}, nil); err == nil {
		again.Close()
		t.Error("two listeners at one address")
	}
}
