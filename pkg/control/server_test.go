package control

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// scripted is a Backend whose Show is a function.
type scripted struct {
	show     func(context.Context) (Status, error)
	sessions iter.Seq[Session]
	order    func(Order) ([]Ordered, error)
}

func (s scripted) Show(ctx context.Context) (Status, error) { return s.show(ctx) }
func (s scripted) Sessions(context.Context, bool) (iter.Seq[Session], error) {
	return s.sessions, nil
}
func (s scripted) Why(context.Context, Question) (Explanation, error) { return Explanation{}, nil }
func (s scripted) Order(_ context.Context, o Order) ([]Ordered, error) {
	if s.order == nil {
		return nil, nil
	}
	return s.order(o)
}
func (s scripted) Stats(context.Context) ([]Stat, error) { return nil, nil }

// serve runs a server until the test ends, and returns a client and its stop.
func serve(t *testing.T, s Server) (*Client, func()) {
	t.Helper()
	path := socketPath(t)
	ln := listen(t, path)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, ln) }()
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Serve left the socket: %v", err)
		}
	}
	c, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); stop() })
	return c, stop
}

func TestPanicStaysInItsRequest(t *testing.T) {
	var told atomic.Value
	backend := scripted{
		show:     func(context.Context) (Status, error) { panic("unary") },
		sessions: func(func(Session) bool) { panic("stream") },
	}
	c, _ := serve(t, Server{Backend: backend, OnPanic: func(method string, v any, stack []byte) {
		if len(stack) == 0 {
			t.Error("no stack")
		}
		told.Store(method + " " + v.(string))
	}})
	if _, err := c.Show(t.Context()); err == nil {
		t.Error("Show: no error")
	}
	if got := told.Load(); got != "/flowshunt.control.v1.Control/Show unary" {
		t.Errorf("told %v", got)
	}
	if _, err := c.Sessions(t.Context(), Filter{}, nil); err == nil {
		t.Error("Sessions: no error")
	}
	if got := told.Load(); got != "/flowshunt.control.v1.Control/Sessions stream" {
		t.Errorf("told %v", got)
	}
	if _, err := c.Stats(t.Context()); err != nil {
		t.Errorf("the server did not go on: %v", err)
	}
}

// TestCallsAreBounded asks more than the bound at once and counts those that the
// backend sees.
func TestCallsAreBounded(t *testing.T) {
	var inside, most atomic.Int32
	var once sync.Once
	full := make(chan struct{})
	release := make(chan struct{})
	backend := scripted{show: func(ctx context.Context) (Status, error) {
		n := inside.Add(1)
		defer inside.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		if n == maxCalls {
			once.Do(func() { close(full) })
		}
		<-release
		return Status{}, nil
	}}
	c, _ := serve(t, Server{Backend: backend})
	const asked = maxStreams
	results := make(chan error, asked)
	for range asked {
		go func() {
			_, err := c.Show(t.Context())
			results <- err
		}()
	}
	<-full
	close(release)
	for range asked {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if got := most.Load(); got != maxCalls {
		t.Errorf("%d calls at a time, want %d", got, maxCalls)
	}
}

func TestStopWithCallInFlight(t *testing.T) {
	entered := make(chan struct{})
	backend := scripted{show: func(ctx context.Context) (Status, error) {
		close(entered)
		<-ctx.Done()
		return Status{}, ctx.Err()
	}}
	c, stop := serve(t, Server{Backend: backend})
	result := make(chan error, 1)
	go func() {
		_, err := c.Show(context.Background())
		result <- err
	}()
	<-entered
	begin := time.Now()
	stop()
	if took := time.Since(begin); took > stopTime+2*time.Second {
		t.Errorf("stop took %s", took)
	}
	if err := <-result; err == nil {
		t.Error("the call that was cut short has no error")
	}
}

func TestRequestTooLarge(t *testing.T) {
	c, _ := serve(t, Server{Backend: scripted{sessions: slices.Values([]Session{})}})
	_, err := c.Sessions(t.Context(), Filter{Port: strings.Repeat("x", maxRequest+1)}, nil)
	if !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
}

func TestSessionsEndToEnd(t *testing.T) {
	list := []Session{filledSession(), filledSession(), filledSession()}
	for i := range list {
		list[i].Rate = uint64(i)
	}
	now := time.Unix(5, 0).UTC()
	c, _ := serve(t, Server{Backend: scripted{sessions: slices.Values(list)}, Now: func() time.Time { return now }})
	var rates []uint64
	sum, err := c.Sessions(t.Context(), Filter{Sort: SortRate, Limit: 2}, func(s Session) error {
		rates = append(rates, s.Rate)
		return nil
	})
	if err != nil || sum != (Summary{3, now}) || !slices.Equal(rates, []uint64{2, 1}) {
		t.Errorf("rates %v, %+v, %v", rates, sum, err)
	}
	enough := errors.New("enough")
	if _, err := c.Sessions(t.Context(), Filter{}, func(Session) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("got %v, want the error of each", err)
	}
}

func TestBadRequest(t *testing.T) {
	c, _ := serve(t, Server{Backend: scripted{}})
	if _, err := c.Why(t.Context(), Question{Tuple: flows.Tuple{}}); !errors.Is(err, ErrRequest) {
		t.Errorf("got %v, want ErrRequest", err)
	}
}

// BenchmarkSessions lists 100,000 sessions over the socket.
func BenchmarkSessions(b *testing.B) {
	list := make([]Session, 100_000)
	for i := range list {
		list[i] = filledSession()
		list[i].Rate = uint64(i * 7919 % 100_003)
	}
	dir, err := os.MkdirTemp("", "ctl")
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ln, err := Listen(b.Context(), Socket{Path: dir + "/s"})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	s := Server{Backend: scripted{sessions: slices.Values(list)}}
	go func() { ended <- s.Serve(ctx, ln) }()
	defer func() { cancel(); <-ended }()
	c, err := Dial(ctx, dir+"/s")
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	for b.Loop() {
		n := 0
		if _, err := c.Sessions(ctx, Filter{Sort: SortRate}, func(Session) error { n++; return nil }); err != nil || n != len(list) {
			b.Fatal(n, err)
		}
	}
	b.ReportMetric(float64(len(list)*b.N)/b.Elapsed().Seconds(), "sessions/s")
}
