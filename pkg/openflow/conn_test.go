package openflow

import (
	"context"
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestPause goes through pauses in all three encodings.
func TestPause(t *testing.T) {
	ways := map[Version]func(*fake, bool){
		OpenFlow10: func(f *fake, paused bool) {
			f.send(typeExperimenter, 0, 0, 0, 0x23, 0x20, 0, 0, 0, pick(paused, 22, 23))
		},
		OpenFlow13: func(f *fake, paused bool) {
			f.send(typeExperimenter, 0, 0x4f, 0x4e, 0x46, 0, 0, 0, 0x07, pick(paused, 0x4f, 0x50))
		},
		OpenFlow15: func(f *fake, paused bool) {
			if paused {
				f.update(pausedStandard...)
			} else {
				f.update(resumedStandard...)
			}
		},
	}
	for v, way := range ways {
		t.Run(v.String(), func(t *testing.T) {
			on := make(chan bool)
			r, _ := start(t, Config{Socket: serve(t, func(f *fake) {
				f.greet(v)
				for paused := range on {
					way(f, paused)
				}
				f.wait()
			})})
			r.watching(t)
			on <- true
			if c := r.next(t); !errors.Is(c.lost, ErrPaused) {
				t.Errorf("paused: %+v", c)
			}
			on <- false
			r.watching(t)
			on <- false // a pause of which only the end is seen
			if c := r.next(t); !errors.Is(c.lost, ErrPaused) {
				t.Errorf("resumed: %+v", c)
			}
			r.watching(t)
			close(on)
		})
	}
}

func pick(first bool, a, b byte) byte {
	if first {
		return a
	}
	return b
}

// TestPausedAtOnce pauses before the handshake is over: it is over, and blind.
func TestPausedAtOnce(t *testing.T) {
	resume := make(chan struct{})
	r, _ := start(t, Config{Idle: time.Millisecond, Socket: serve(t, func(f *fake) {
		f.v = OpenFlow14
		f.send(typeHello, 1)
		f.await(f.v.barrierRequest())
		f.send(f.v.multipartRequest()+1, xidMonitor, f.reply(pausedStandard...)...)
		f.send(f.v.barrierRequest()+1, xidBarrier)
		f.await(typeEchoRequest) // it was over
		<-resume
		f.update(resumedStandard...)
		f.update(abbrevStandard...)
		f.wait()
	})})
	resume <- struct{}{}
	r.watching(t)
	r.change(t) // had it watched before, it would be told Lost
}

// TestBlind shows that changes between a pause and its end are not told.
func TestBlind(t *testing.T) {
	r, _ := start(t, Config{Socket: serve(t, func(f *fake) {
		f.greet(OpenFlow14)
		f.update(pausedStandard...)
		f.update(addedStandard...)
		f.update(resumedStandard...)
		f.update(abbrevStandard...)
		f.wait()
	})})
	r.until(t, isWatching)
	c := r.next(t)
	if c.lost != nil { // depends on how fast the handler was
		r.watching(t)
		c = r.next(t)
	}
	if c.change == nil || *c.change != (Change{}) {
		t.Errorf("%+v", c)
	}
}

// blocking is a handler that hangs in Changed until it is released.
type blocking struct {
	*recorder
	entered, release chan struct{}
}

func (b *blocking) Changed(changes []Change) {
	b.recorder.Changed(changes)
	b.entered <- struct{}{}
	<-b.release
}

// TestSlowHandler lets changes come while the handler hangs.
func TestSlowHandler(t *testing.T) {
	flood, flooded := make(chan int), make(chan struct{})
	h := &blocking{newRecorder(), make(chan struct{}, 100), make(chan struct{})}
	path := serve(t, func(f *fake) {
		f.greet(OpenFlow14)
		f.update(addedStandard...)
		for n := range flood {
			for range n {
				f.update(addedStandard...)
			}
			f.send(typeEchoRequest, 77, 1, 2, 3)
			if m, ok := f.await(typeEchoReply); !ok || m.xid != 77 || string(m.body) != "\x01\x02\x03" {
				t.Errorf("echo reply: %+v", m)
			}
			flooded <- struct{}{}
		}
		f.wait()
	})
	ended := make(chan error)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { ended <- Watch(ctx, Config{Socket: path, Pending: 10}, h) }()
	h.watching(t)
	h.change(t)
	<-h.entered
	flood <- 10
	<-flooded
	h.release <- struct{}{}
	for range 10 {
		h.change(t)
	}
	<-h.entered
	flood <- 11
	<-flooded
	h.release <- struct{}{}
	if c := h.next(t); !errors.Is(c.lost, ErrOverrun) {
		t.Errorf("11 of 10: %+v", c)
	}
	h.watching(t)
	close(flood)
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Watch: %v", err)
	}
}

// TestProbed leaves a probe unanswered, after one that was answered.
func TestProbed(t *testing.T) {
	r, ended := start(t, Config{Idle: time.Millisecond, Timeout: 100 * time.Millisecond, Socket: serve(t, func(f *fake) {
		f.greet(OpenFlow13)
		m, _ := f.await(typeEchoRequest)
		f.send(typeEchoReply, m.xid)
		f.await(typeEchoRequest)
		f.wait()
	})})
	r.watching(t)
	if c := r.next(t); !errors.Is(c.lost, ErrSilent) {
		t.Errorf("%+v", c)
	}
	if err := <-ended; !errors.Is(err, ErrSilent) {
		t.Errorf("%v", err)
	}
}

// TestHandshakes are those that fail: nothing is told but what Watch returns.
func TestHandshakes(t *testing.T) {
	tests := []struct {
		name string
		play func(*fake)
		want error
	}{
		{"silence", func(f *fake) { f.wait() }, ErrSilent},
		{"silence after hello", func(f *fake) { f.v = OpenFlow14; f.send(typeHello, 1); f.wait() }, ErrSilent},
		{"closed", func(*fake) {}, ErrClosed},
		{"unknown version", func(f *fake) { f.v = 9; f.send(typeHello, 1, 0, 1, 0, 8, 0, 0, 2, 0); f.wait() }, ErrVersion},
		{"version refused", func(f *fake) { f.v = 9; f.send(typeError, 1, 0, 0, 0, 0, 'n', 'o', '\n'); f.wait() }, ErrVersion},
		{"no hello", func(f *fake) { f.v = OpenFlow14; f.send(typeEchoRequest, 1); f.wait() }, ErrProtocol},
		{"bad hello", func(f *fake) { f.v = OpenFlow14; f.send(typeHello, 1, 0, 1, 0, 9, 0); f.wait() }, ErrProtocol},
		{"short message", func(f *fake) { _, _ = f.Write([]byte{5, 0, 0, 7, 0, 0, 0, 0}); f.wait() }, ErrProtocol},
		{"other version", func(f *fake) { f.v = OpenFlow14; f.send(typeHello, 1); f.v = OpenFlow13; f.send(2, 1); f.wait() }, ErrProtocol},
		{"unconfirmed", func(f *fake) {
			f.v = OpenFlow14
			f.send(typeHello, 1)
			f.await(f.v.barrierRequest())
			f.send(f.v.barrierRequest()+1, xidBarrier)
			f.wait()
		}, ErrProtocol},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, ended := start(t, Config{Socket: serve(t, test.play), Timeout: 100 * time.Millisecond})
			if err := <-ended; !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
			if len(r.calls) != 0 {
				t.Errorf("told %+v", r.calls)
			}
		})
	}
}

// TestRefused is a bridge that refuses the monitor, as OVS does bad flags of 1.4.
func TestRefused(t *testing.T) {
	_, ended := start(t, Config{Socket: serve(t, func(f *fake) {
		f.v = OpenFlow14
		f.send(typeHello, 1)
		f.await(f.v.multipartRequest())
		f.v = OpenFlow10
		f.send(typeError, 0, 0xb0, 0xc2, 0, 0, 0, 0, 0x23, 0x20, 0, 1, 2, 6, 0, 1, 0, 4)
		f.wait()
	})})
	err := <-ended
	var refused *Refusal
	if !errors.As(err, &refused) {
		t.Fatalf("%v", err)
	}
	if !strings.Contains(err.Error(), "OpenFlow14") || !strings.Contains(err.Error(), "protocols") {
		t.Errorf("no advice: %v", err)
	}
}

// TestMalformed sends what no OVS does, while watching.
func TestMalformed(t *testing.T) {
	tests := map[string]func(*fake){
		"update header":  func(f *fake) { f.update(0, 8, 0) },
		"update length":  func(f *fake) { f.update(0, 0, 0, 1, 0, 0, 0, 0) },
		"update too big": func(f *fake) { f.update(0, 16, 0, 1, 0, 0, 0, 0) },
		"event":          func(f *fake) { f.update(0, 8, 0, 7, 0, 0, 0, 0) },
		"short update":   func(f *fake) { f.update(0, 8, 0, 1, 0, 0, 0, 0) },
		"other reply":    func(f *fake) { f.send(19, 0, 0, 1, 0, 0, 0, 0, 0, 0) },
		"port status":    func(f *fake) { f.send(typePortStatus, 0, make([]byte, 47)...) },
		"error":          func(f *fake) { f.send(typeError, 0, 0) },
	}
	for name, play := range tests {
		t.Run(name, func(t *testing.T) {
			r, ended := start(t, Config{Socket: serve(t, func(f *fake) {
				f.greet(OpenFlow14)
				play(f)
				f.wait()
			})})
			r.watching(t)
			if c := r.next(t); !errors.Is(c.lost, ErrProtocol) {
				t.Errorf("%+v", c)
			}
			if err := <-ended; !errors.Is(err, ErrProtocol) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestPermission(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("missing: root, to act as somebody else")
	}
	path := serve(t, func(*fake) {})
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with its identity
		if _, _, errno := unix.RawSyscall(unix.SYS_SETFSUID, 65534, 0, 0); errno != 0 {
			result <- errno
			return
		}
		result <- Watch(t.Context(), Config{Socket: path}, newRecorder())
	}()
	if err := <-result; !errors.Is(err, ErrPermission) {
		t.Errorf("%v", err)
	}
}
