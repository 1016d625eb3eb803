package conntrack

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/flows"
)

// Group is a multicast group of conntrack events (enum nfnetlink_groups).
type Group int

// The groups.
const (
	GroupNew     Group = unix.NFNLGRP_CONNTRACK_NEW
	GroupUpdate  Group = unix.NFNLGRP_CONNTRACK_UPDATE
	GroupDestroy Group = unix.NFNLGRP_CONNTRACK_DESTROY
)

// EventType says what happened to an entry.
type EventType uint8

// The types. An update says what changed but has no counters; a destruction has
// the final ones.
const (
	EventNew EventType = iota + 1
	EventUpdate
	EventDestroy
)

// Event is one change that the kernel reported.
type Event struct {
	Type EventType

	// PortID is the netlink port id of the socket that caused the event, 0
	// where that was a packet or a timer. Conn.PortID tells one's own.
	PortID uint32

	Entry flows.Entry
}

const listenBuffer = 32 << 20

// Listener hears conntrack events. They are hints, not a journal: Open vSwitch
// masks most of them, and an overrun loses some. Read the table for the truth.
// One goroutine may call Receive; Close may be called at any time.
type Listener struct {
	wire  wire
	own   []uint32
	buf   []byte
	rest  []byte // messages behind the one at which f returned an error
	event Event
}

// Listen joins groups. Events that were caused through one of the port ids in
// own are passed over: a Conn hears every change of its own otherwise.
func Listen(cfg Config, own []uint32, groups ...Group) (*Listener, error) {
	size := cfg.ReadBuffer
	if size == 0 {
		size = listenBuffer
	}
	l := &Listener{own: slices.Clone(own), buf: make([]byte, datagram)}
	err := inNetNS(cfg.NetNS, func() error {
		s, err := openSocket(0, size)
		if err != nil {
			return err
		}
		for _, g := range groups {
			if err := s.join(int(g)); err != nil {
				s.close()
				return fmt.Errorf("join conntrack event group %d: %w", g, err)
			}
		}
		l.wire = s
		return nil
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// Receive hands events to f until ctx ends, f returns an error, the Listener is
// closed (os.ErrClosed) or events were lost (ErrOverrun). After all but
// os.ErrClosed the Listener goes on where it stopped when Receive is called
// again. After ErrOverrun the table must be read to know what was missed; what
// still waited was discarded, so that every event from the return of Receive on
// is heard. The event is overwritten by the next one.
func (l *Listener) Receive(ctx context.Context, f func(*Event) error) error {
	release := interruptible(ctx, l.wire)
	defer release()
	for {
		for len(l.rest) > 0 {
			if err := l.next(f); err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := l.wire.receive(l.buf)
		if err != nil {
			return cause(ctx, err)
		}
		l.rest = l.buf[:n]
	}
}

// next takes one message off l.rest. A malformed one takes its datagram along.
func (l *Listener) next(f func(*Event) error) error {
	m, rest, err := cut(l.rest)
	l.rest = rest
	if err != nil {
		return err
	}
	if !m.isEntry() || slices.Contains(l.own, m.port) {
		return nil
	}
	l.event.Type = eventType(&m)
	l.event.PortID = m.port
	if err := decodeEntry(m.raw, &l.event.Entry); err != nil {
		return err
	}
	return f(&l.event)
}

// eventType tells a new entry from a changed one as the kernel does: by flags.
func eventType(m *message) EventType {
	switch {
	case m.typ == msgDelete:
		return EventDestroy
	case m.flags&(unix.NLM_F_CREATE|unix.NLM_F_EXCL) != 0:
		return EventNew
	default:
		return EventUpdate
	}
}

// Close releases the socket and ends a Receive in progress.
func (l *Listener) Close() error { return l.wire.close() }
