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

// quiet is how long devices must have said nothing before they are asked for anything:
// while one makes hundreds of ports it is locked, and who asks does not listen.
const quiet = 100 * time.Millisecond

// Watcher follows the devices of one network namespace. Its methods may be called
// concurrently.
type Watcher struct {
	dial    func() (*Conn, nlsocket.Receiver, error)
	none    bool  // the kernel has no devlink
	conn    *Conn // nil: not opened so far
	source  source
	events  nlsocket.Receiver
	changed chan struct{}
	again   chan struct{} // a value asks for a look at everything
	told    Told

	mu    sync.Mutex // guards what follows
	ports map[key]Port
	modes map[string]Mode
}

// Told is what a watcher tells: New while it runs, then the goroutine of Run. Fields may
// be nil.
type Told struct {
	// Reset is told of each Reset, also where one may have been missed.
	Reset func(Reset)
	// Trouble is told why something has to be read again.
	Trouble func(error)
	// Looked is told the outcome of each look at everything: where it failed, what is
	// known is old, or nothing.
	Looked func(error)
}

// source is what is asked; *Conn is one.
type source interface {
	Read(ctx context.Context) (Snapshot, error)
	Mode(ctx context.Context, device string) (Mode, error)
}

// New returns a watcher of the calling thread's network namespace, with the devices
// read once. Where that fails it is tried again by Run, on its own thread. On a kernel
// without devlink the watcher finds nothing.
func New(told Told) *Watcher {
	if told.Reset == nil {
		told.Reset = func(Reset) {}
	}
	if told.Trouble == nil {
		told.Trouble = func(error) {}
	}
	if told.Looked == nil {
		told.Looked = func(error) {}
	}
	w := &Watcher{dial: dial, changed: make(chan struct{}, 1), again: make(chan struct{}, 1), told: told,
		ports: make(map[key]Port), modes: make(map[string]Mode)}
	if w.open() && !w.look(context.Background()) {
		w.Refresh()
	}
	return w
}

// dial subscribes, so that nothing falls between that and the first look.
func dial() (*Conn, nlsocket.Receiver, error) {
	conn, err := Open()
	if err != nil {
		return nil, nil, err
	}
	events, err := nlsocket.Listen(unix.NETLINK_GENERIC, conn.family.Groups[unix.DEVLINK_GENL_MCGRP_CONFIG_NAME])
	if err != nil {
		_ = conn.Close()
		return nil, nil, err
	}
	return conn, events, nil
}

// open opens the sockets and reports whether it has them.
func (w *Watcher) open() bool {
	conn, events, err := w.dial()
	switch {
	case errors.Is(err, ErrNoDevlink):
		w.none = true
		w.told.Looked(nil)
		return false
	case err != nil:
		w.told.Looked(fmt.Errorf("open devlink: %w", err))
		return false
	}
	w.conn, w.source, w.events = conn, conn, events
	return true
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

// Refresh asks for a look at everything soon: that an eswitch has another mode has no
// notification of its own.
func (w *Watcher) Refresh() {
	select {
	case w.again <- struct{}{}:
	default:
	}
}

// Run follows changes until the context ends and returns its error. It is called once;
// when it has returned, the watcher is closed.
func (w *Watcher) Run(ctx context.Context) error {
	defer w.close()
	if !w.reopen(ctx) {
		<-ctx.Done()
		return ctx.Err()
	}
	heard, stop := w.hear(ctx)
	defer stop()
	return w.follow(ctx, heard)
}

// reopen opens what could not be opened so far, and reports whether there is anything to
// listen to.
func (w *Watcher) reopen(ctx context.Context) bool {
	for again := (backoff{}); w.conn == nil && !w.none && ctx.Err() == nil; {
		again.trouble()
		if again.wait(ctx); w.open() {
			w.told.Reset(Reset{Cause: "devlink was not heard before"})
			w.Refresh()
		}
	}
	return w.conn != nil
}

// follow applies what is heard.
func (w *Watcher) follow(ctx context.Context, heard <-chan heard) error {
	due := make(map[string]bool) // devices whose mode may be another
	look := false                // everything has to be looked at
	var again backoff            // before the next look
	for {
		var wait <-chan time.Time
		if look || len(due) > 0 {
			wait = time.After(max(quiet, again.left()))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.again:
			look = true
		case <-wait:
			look = look && !w.look(ctx)
			if !w.readModes(ctx, due) || look {
				again.trouble()
			}
		case h := <-heard:
			for i := range h.News {
				w.take(&h.News[i], due)
			}
			switch {
			case h.Err == nil || ctx.Err() != nil:
			case errors.Is(h.Err, nlsocket.ErrOverrun):
				w.lost(ctx, h.Err)
			default: // what cannot be read says nothing of a reset
				w.told.Trouble(h.Err)
				look = true
				again.trouble()
			}
		}
	}
}

// look reads everything again and reports whether that worked.
func (w *Watcher) look(ctx context.Context) bool {
	err := w.read(ctx)
	w.told.Looked(err)
	return err == nil
}

// lost reads everything again after notifications were lost, of which any may have told
// of a reset.
func (w *Watcher) lost(ctx context.Context, err error) {
	w.told.Reset(Reset{Cause: "devlink notifications were lost"})
	w.told.Trouble(err)
	for again := (backoff{}); ctx.Err() == nil && !w.look(ctx); again.wait(ctx) {
		again.trouble()
	}
}

type heard = nlsocket.Heard[event]

// hear listens until stop is called; see nlsocket.Hear.
func (w *Watcher) hear(ctx context.Context) (_ <-chan heard, stop func()) {
	var again backoff
	return nlsocket.Hear(ctx, w.events, decoder(w.conn.family.ID), func(ctx context.Context) {
		again.trouble()
		again.wait(ctx)
	})
}

// decoder decodes events of devlink, whose family the kernel numbers.
func decoder(family uint16) func(nlsocket.Message) (event, bool, error) {
	return func(m nlsocket.Message) (event, bool, error) { return decodeEvent(m, family) }
}

// take takes one notification. The mode has none, but where it changes, ports do.
func (w *Watcher) take(ev *event, due map[string]bool) {
	device, changed := w.apply(ev)
	if changed {
		w.notify()
	}
	if device != "" && (changed || ev.device != "") {
		due[device] = true
	}
	if r, ok := ev.reset(); ok {
		w.told.Reset(r)
	}
}

// readModes asks devices for their modes. It reports whether all have answered; those
// that have not are asked again.
func (w *Watcher) readModes(ctx context.Context, due map[string]bool) bool {
	for device := range due {
		mode, err := w.source.Mode(ctx, device)
		if err != nil {
			w.told.Trouble(err)
			continue
		}
		delete(due, device)
		if w.setMode(device, mode) {
			w.notify()
		}
	}
	return len(due) == 0
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
	s, err := w.source.Read(ctx)
	if errors.Is(err, nlsocket.ErrInterrupted) {
		s, err = w.source.Read(ctx)
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
