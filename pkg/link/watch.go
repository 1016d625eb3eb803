package link

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

const (
	receiveBuffer = 1 << 20
	retryAfter    = 100 * time.Millisecond
)

// Watcher follows the devices of one network namespace. Its methods may be
// called concurrently.
type Watcher struct {
	namespace netns.NsHandle
	handle    *netlink.Handle
	table     table
	changed   chan struct{}
	resync    func(error)
}

// New returns a watcher of the calling thread's network namespace, with the
// devices read once. resync, which may be nil, is told each time that the full
// list has to be read again, and why; an overrun is a usual reason.
func New(resync func(error)) (*Watcher, error) {
	if resync == nil {
		resync = func(error) {}
	}
	namespace, err := netns.Get()
	if err != nil {
		return nil, fmt.Errorf("open network namespace: %w", err)
	}
	handle, err := netlink.NewHandle() // in the thread's own namespace
	if err != nil {
		namespace.Close()
		return nil, fmt.Errorf("open rtnetlink: %w", err)
	}
	w := &Watcher{namespace: namespace, handle: handle, changed: make(chan struct{}, 1), resync: resync}
	w.table.states = make(map[int32]State)
	if err := w.list(); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// Snapshot returns the devices by index. The map belongs to the caller.
func (w *Watcher) Snapshot() map[int32]State { return w.table.snapshot() }

// Changed receives a value when the snapshot differs from what it was. Several
// changes may be one value.
func (w *Watcher) Changed() <-chan struct{} { return w.changed }

// Run follows changes until the context ends and returns its error. It is
// called once; when it has returned, the watcher is closed.
func (w *Watcher) Run(ctx context.Context) error {
	defer w.close()
	for {
		err := w.follow(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		w.resync(err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(retryAfter):
		}
	}
}

// follow subscribes first and lists then, so that nothing falls in between, and
// applies notifications until the subscription breaks.
func (w *Watcher) follow(ctx context.Context) error {
	broken := make(chan error, 1)
	updates, done := make(chan netlink.LinkUpdate, 64), make(chan struct{})
	err := w.subscribe(updates, done, netlink.LinkSubscribeOptions{
		ErrorCallback: func(err error) {
			select {
			case broken <- err: // whatever it was, a notification may be missing now
			default:
			}
		},
		ReceiveBufferSize: receiveBuffer, ReceiveBufferForceSize: true,
	})
	if err != nil {
		return fmt.Errorf("subscribe to link changes: %w", err)
	}
	defer func() {
		close(done)
		for range updates { // until the library's goroutine has ended
		}
	}()
	if err := w.list(); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-broken:
			return err
		case u, ok := <-updates:
			if !ok {
				return endOf(broken)
			}
			if w.table.apply(u) {
				w.notify()
			}
		}
	}
}

// subscribe changes to the watcher's namespace only from another one: to enter even
// one's own takes CAP_SYS_ADMIN, which an agent need not have.
func (w *Watcher) subscribe(updates chan<- netlink.LinkUpdate, done <-chan struct{}, o netlink.LinkSubscribeOptions) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	here, err := netns.Get()
	if err != nil {
		return err
	}
	defer here.Close()
	if !here.Equal(w.namespace) {
		o.Namespace = &w.namespace
	}
	return netlink.LinkSubscribeWithOptions(updates, done, o)
}

func (w *Watcher) list() error {
	links, err := w.handle.LinkList()
	if errors.Is(err, netlink.ErrDumpInterrupted) {
		links, err = w.handle.LinkList()
	}
	if err != nil {
		return fmt.Errorf("list network devices: %w", err)
	}
	if w.table.replace(links) {
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
	w.handle.Close()
	w.namespace.Close()
}

// endOf returns why a subscription ended.
func endOf(broken <-chan error) error {
	select {
	case err := <-broken:
		return err
	default:
		return errors.New("subscription to link changes ended")
	}
}
