package devlink

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/pkg/nlsocket"
)

const retryAfter = 100 * time.Millisecond

// Watcher follows the devices of one network namespace. Its methods may be called
// concurrently.
type Watcher struct {
	conn    *Conn // nil: the kernel has no devlink
	events  *nlsocket.Listener
	changed chan struct{}
	reset   func(Reset)
	resync  func(error)

	mu    sync.Mutex // guards what follows
	ports map[key]Port
	modes map[string]Mode
}

// New returns a watcher of the calling thread's network namespace, with the devices
// read once. reset is told of each Reset, from the goroutine of Run. resync is told
// each time that everything has to be read again, and why; then any device may have
// been reset, and reset is told that too. Both may be nil. On a kernel without devlink
// the watcher finds nothing.
func New(reset func(Reset), resync func(error)) (*Watcher, error) {
	w := &Watcher{changed: make(chan struct{}, 1), reset: reset, resync: resync,
		ports: make(map[key]Port), modes: make(map[string]Mode)}
	if reset == nil {
		w.reset = func(Reset) {}
	}
	if resync == nil {
		w.resync = func(error) {}
	}
	conn, err := Open()
	if errors.Is(err, ErrNoDevlink) {
		return w, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open devlink: %w", err)
	}
	w.conn = conn
	// Subscribed first, so that nothing falls in between.
	if w.events, err = nlsocket.Listen(unix.NETLINK_GENERIC, conn.family.Groups[unix.DEVLINK_GENL_MCGRP_CONFIG_NAME]); err == nil {
		err = w.read(context.Background())
	}
	if err != nil {
		w.close()
		return nil, fmt.Errorf("open devlink: %w", err)
	}
	return w, nil
}

// Snapshot returns what is known. It belongs to the caller.
func (w *Watcher) Snapshot() Snapshot {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Snapshot{Ports: slices.Collect(maps.Values(w.ports)), Modes: maps.Clone(w.modes)}
}

// Changed receives a value when the snapshot differs from what it was. Several changes
// may be one value.
func (w *Watcher) Changed() <-chan struct{} { return w.changed }

// Run follows changes until the context ends and returns its error. It is called once;
// when it has returned, the watcher is closed.
func (w *Watcher) Run(ctx context.Context) error {
	defer w.close()
	if w.conn == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	for {
		err := w.follow(ctx)
		for err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			w.resync(err)
			w.reset(Reset{Cause: "devlink notifications may have been missed"})
			if !errors.Is(err, nlsocket.ErrOverrun) { // it will fail again
				select {
				case <-ctx.Done():
				case <-time.After(retryAfter):
				}
			}
			err = w.read(ctx)
		}
	}
}

// follow applies notifications until there is an error: then some may be missing.
func (w *Watcher) follow(ctx context.Context) error {
	for {
		datagram, err := w.events.Receive(ctx)
		if err != nil {
			return err
		}
		for len(datagram) > 0 {
			var m nlsocket.Message
			if m, datagram, err = nlsocket.Cut(datagram); err != nil {
				return err
			}
			if err := w.take(ctx, m); err != nil {
				return err
			}
		}
	}
}

// take takes one notification.
func (w *Watcher) take(ctx context.Context, m nlsocket.Message) error {
	ev, ok, err := decodeEvent(m, w.conn.family.ID)
	if err != nil || !ok {
		return err
	}
	device, changed := w.apply(&ev)
	if device != "" && (changed || ev.device != "") { // the mode has no notification of its own
		mode, err := w.conn.Mode(ctx, device)
		if err != nil {
			return err
		}
		changed = w.setMode(device, mode) || changed
	}
	if changed {
		w.notify()
	}
	if r, ok := ev.reset(); ok {
		w.reset(r)
	}
	return nil
}

// reset returns the reset that an event tells of.
func (ev *event) reset() (Reset, bool) {
	switch {
	case ev.health != nil && ev.health.MayReset():
		return Reset{Device: ev.health.Device, Cause: ev.health.String()}, true
	case ev.device != "":
		return Reset{Device: ev.device, Reload: true, Cause: ev.device + " was reloaded, added or removed"}, true
	}
	return Reset{}, false
}

// apply takes over what an event says of ports, and returns the device that it is
// about.
func (w *Watcher) apply(ev *event) (device string, changed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case ev.port != nil:
		k := ev.port.key()
		old, existed := w.ports[k]
		w.ports[k] = *ev.port
		return k.device, !existed || old != *ev.port
	case ev.gone != nil:
		k := ev.gone.key()
		_, existed := w.ports[k]
		delete(w.ports, k)
		return k.device, existed
	}
	return ev.device, false
}

// setMode keeps the mode of a device as long as it has ports.
func (w *Watcher) setMode(device string, mode Mode) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	old, existed := w.modes[device]
	for k := range w.ports {
		if k.device == device {
			w.modes[device] = mode
			return !existed || old != mode
		}
	}
	delete(w.modes, device)
	return existed
}

// read reads everything.
func (w *Watcher) read(ctx context.Context) error {
	s, err := w.conn.Read(ctx)
	if errors.Is(err, nlsocket.ErrInterrupted) {
		s, err = w.conn.Read(ctx)
	}
	if err != nil {
		return err
	}
	ports := make(map[key]Port, len(s.Ports))
	for _, p := range s.Ports {
		ports[p.key()] = p
	}
	w.mu.Lock()
	changed := !maps.Equal(ports, w.ports) || !maps.Equal(s.Modes, w.modes)
	w.ports, w.modes = ports, s.Modes
	w.mu.Unlock()
	if changed {
		w.notify()
	}
	return nil
}

func (w *Watcher) notify() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

func (w *Watcher) close() {
	if w.events != nil {
		_ = w.events.Close()
	}
	if w.conn != nil {
		_ = w.conn.Close()
	}
}
