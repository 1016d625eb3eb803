package link

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/pkg/nlsocket"
)

const retryAfter = 100 * time.Millisecond

var sockets = nlsocket.Config{ReceiveBuffer: 4 << 20, Timeout: 10 * time.Second}

// Watcher follows the devices of one network namespace. Its methods may be
// called concurrently.
type Watcher struct {
	events   nlsocket.Receiver
	conn     *nlsocket.Conn
	features *features
	table    table
	changed  chan struct{}
	again    chan struct{} // a value asks for a look at all devices
	resync   func(error)
}

// New returns a watcher of the calling thread's network namespace, with the
// devices read once. resync, which may be nil, is told each time that the full
// list has to be read again, and why; an overrun is a usual reason.
func New(resync func(error)) (*Watcher, error) { return open(resync, hwTC) }

func open(resync func(error), feature string) (*Watcher, error) {
	if resync == nil {
		resync = func(error) {}
	}
	w := &Watcher{changed: make(chan struct{}, 1), again: make(chan struct{}, 1), resync: resync}
	w.table.states = make(map[int32]State)
	if err := w.open(feature); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// open subscribes first and lists then, so that nothing falls in between.
func (w *Watcher) open(feature string) error {
	events, err := nlsocket.Listen(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK)
	if err != nil {
		return fmt.Errorf("subscribe to link changes: %w", err)
	}
	w.events = events
	if w.conn, err = nlsocket.Dial(unix.NETLINK_ROUTE, sockets); err != nil {
		return fmt.Errorf("open rtnetlink: %w", err)
	}
	if w.features, err = openFeatures(sockets, feature); err != nil {
		return fmt.Errorf("open ethtool netlink: %w", err)
	}
	return w.list()
}

// Snapshot returns the devices by index. The map belongs to the caller.
func (w *Watcher) Snapshot() map[int32]State { return w.table.snapshot() }

// Changed receives a value when the snapshot differs from what it was. Several
// changes may be one value.
func (w *Watcher) Changed() <-chan struct{} { return w.changed }

// Refresh asks for a look at all devices soon: some of what is known of them changes
// without a notification, as their place in an eswitch.
func (w *Watcher) Refresh() {
	select {
	case w.again <- struct{}{}:
	default:
	}
}

// Run follows changes until the context ends and returns its error. It is
// called once; when it has returned, the watcher is closed.
func (w *Watcher) Run(ctx context.Context) error {
	defer w.close()
	heard, stop := nlsocket.Hear(ctx, w.events, decode, pause)
	defer stop()
	var err error
	for {
		var retry <-chan time.Time
		if err != nil {
			w.resync(err)
			if err = w.list(); err != nil {
				retry = time.After(retryAfter)
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-retry:
		case <-w.again:
			err = errors.Join(err, w.list())
		case h := <-heard:
			err = errors.Join(err, h.Err, w.apply(h.News))
		}
	}
}

// pause waits before a socket that failed is tried again.
func pause(ctx context.Context) {
	select {
	case <-time.After(retryAfter):
	case <-ctx.Done():
	}
}

// apply takes over what was told, which is all but the features.
func (w *Watcher) apply(news []notification) error {
	for i := range news {
		n := &news[i]
		if !n.gone {
			tc, err := w.features.get(n.index)
			if err != nil {
				return err
			}
			n.state.TC = tc[n.index]
		}
		if w.table.apply(n) {
			w.notify()
		}
	}
	return nil
}

func (w *Watcher) list() error {
	all, err := w.readAll()
	if errors.Is(err, nlsocket.ErrInterrupted) {
		all, err = w.readAll()
	}
	if err != nil {
		return fmt.Errorf("list network devices: %w", err)
	}
	if w.table.replace(all) {
		w.notify()
	}
	return nil
}

func (w *Watcher) readAll() (map[int32]State, error) {
	all := make(map[int32]State)
	err := w.get(0, func(n *notification) { all[n.index] = n.state })
	if err != nil {
		return nil, err
	}
	tc, err := w.features.get(0)
	if err != nil {
		return nil, err
	}
	for index, s := range all {
		s.TC = tc[index]
		all[index] = s
	}
	return all, nil
}

// get reads one device, or with index 0 all.
func (w *Watcher) get(index int32, f func(*notification)) error {
	req, err := getLink(index)
	if err != nil {
		return err
	}
	return w.conn.Do(context.Background(), req, func(m nlsocket.Message) error {
		n, ok, err := decode(m)
		if ok {
			f(&n)
		}
		return err
	})
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
	if w.features != nil {
		w.features.close()
	}
}
