package tap

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
	"golang.org/x/time/rate"
)

// tap is the socket of one port and the goroutine that reads it.
type tap struct {
	want    Port
	file    *os.File
	raw     syscall.RawConn
	limiter *rate.Limiter
	ctx     context.Context
	cancel  context.CancelFunc
	done    sync.WaitGroup
	inside  atomic.Bool // see Port

	seen, ignored, dropped atomic.Uint64
}

func openTap(want Port, cfg *Config) (*tap, error) {
	filter, err := Filter(want.Sample, want.Inside)
	if err != nil {
		return nil, err
	}
	file, err := openSocket(want.Ifindex, filter, cfg.Buffer)
	if err != nil {
		return nil, err
	}
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return nil, &Error{"open socket", want.Ifindex, err}
	}
	t := &tap{want: want, file: file, raw: raw, limiter: rate.NewLimiter(rate.Limit(cfg.Rate), max(cfg.Rate/10, batchLen))}
	t.inside.Store(want.Inside)
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.done.Go(func() { t.read(cfg) })
	return t, nil
}

// setFilter replaces the filter; the socket and what it has queued stay.
func (t *tap) setFilter(p Port) error {
	filter, err := Filter(p.Sample, p.Inside)
	if err != nil {
		return err
	}
	var failed error
	err = t.raw.Control(func(fd uintptr) { failed = attachFilter(int(fd), filter) })
	if err = errors.Join(err, failed); err != nil {
		return &Error{"replace filter", t.want.Ifindex, err}
	}
	t.want.Sample, t.want.Inside = p.Sample, p.Inside
	t.inside.Store(p.Inside)
	return nil
}

func (t *tap) close() {
	t.cancel()
	t.file.Close()
	t.done.Wait()
}

// countOverruns moves the kernel's count, which restarts at each reading, here.
func (t *tap) countOverruns() {
	_ = t.raw.Control(func(fd uintptr) { t.dropped.Add(overruns(int(fd))) })
}

// read reports packets until the tap is closed. The
// rate limit lets the kernel's buffer overflow rather than have one flooded port
// eat a processor.
func (t *tap) read(cfg *Config) {
	b := newBatch()
	var n int
	var err error
	receive := func(fd uintptr) bool {
		n, err = b.receive(fd)
		return !errors.Is(err, unix.EAGAIN)
	}
	for {
		if t.raw.Read(receive) != nil {
			return // closed
		}
		if err != nil {
			// Most likely ENETDOWN, once; when the device comes up again so do packets.
			n = 1
		} else {
			t.report(cfg, b, n)
		}
		if t.limiter.WaitN(t.ctx, n) != nil {
			return
		}
	}
}

// dead reports whether the device was deleted. It is asked, not noticed: the
// kernel reports only that the device went down, which comes before.
func (t *tap) dead() bool {
	gone := true
	_ = t.raw.Control(func(fd uintptr) { gone = deviceGone(int(fd)) })
	return gone
}

func (t *tap) report(cfg *Config, b *batch, n int) {
	now := cfg.Now()
	tell := func(s Sighting) {
		s.Port, s.Ifindex, s.At = t.want.ID, t.want.Ifindex, now
		cfg.Sighted(s)
	}
	for i := range n {
		s, ok := Parse(b.frame(i))
		if !ok {
			t.ignored.Add(1)
			continue
		}
		t.seen.Add(1)
		var inner Sighting
		inside := false
		if t.inside.Load() {
			inner, inside = Inside(b.frame(i))
		}
		if !inside || inner.TCPFlags&(FIN|SYN|RST) == 0 { // else the flags let it through: it is none of a random share
			tell(s)
		}
		if inside {
			tell(inner)
		}
	}
}
