package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// message is a request, a notification or a response of JSON-RPC 1.0
// (RFC 7047, section 4).
type message struct {
	Method string          `json:"method,omitempty"`
	Params json.RawMessage `json:"params,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  json.RawMessage `json:"error,omitempty"`
	ID     json.RawMessage `json:"id,omitempty"`
}

// wire is one JSON-RPC connection. One goroutine reads; everything else is
// called by one owner, which must call close.
type wire struct {
	conn  net.Conn
	probe time.Duration // a silent server is given up after this time
	limit int           // bytes of one message

	in      chan message // closed by the reader after readErr is set
	readErr error
	done    chan struct{}
	reader  sync.WaitGroup

	unanswered map[string]*transaction // by id
	position   json.RawMessage         // the last answer to positionID

	lastID   int
	start    time.Time
	lastRead atomic.Int64 // when bytes came in, as time since start

	heardAt time.Duration // the last message, or the start of waiting
	echoAt  time.Duration // when the pending echo was sent; 0 = none pending
}

func newWire(conn net.Conn, probe time.Duration, limit int) *wire {
	w := &wire{
		conn: conn, probe: probe, limit: limit, start: time.Now(),
		in: make(chan message, 16), done: make(chan struct{}),
	}
	w.reader.Go(w.read)
	return w
}

// close ends the connection and waits for the reader.
func (w *wire) close() {
	close(w.done)
	_ = w.conn.Close() // the connection is given up; there is no one to tell
	w.reader.Wait()
}

func (w *wire) now() time.Duration { return time.Since(w.start) }

// read turns bytes into messages until the first error.
func (w *wire) read() {
	defer close(w.in)
	from := &budget{from: w, limit: w.limit}
	dec := json.NewDecoder(from)
	for {
		from.left = from.limit
		var m message
		if w.readErr = dec.Decode(&m); w.readErr != nil {
			return
		}
		select {
		case w.in <- m:
		case <-w.done:
			w.readErr = net.ErrClosed
			return
		}
	}
}

// Read notes when bytes came in: a large reply over a slow link is no stall.
func (w *wire) Read(p []byte) (int, error) {
	n, err := w.conn.Read(p)
	if n > 0 {
		w.lastRead.Store(int64(w.now()))
	}
	return n, err
}

// budget ends a message that is larger than any honest one.
type budget struct {
	from        io.Reader
	limit, left int
}

func (b *budget) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("%w: a message of more than %d bytes", ErrProtocol, b.limit)
	}
	n, err := b.from.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

func (w *wire) send(m message) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := w.conn.SetWriteDeadline(time.Now().Add(w.probe)); err != nil {
		return err
	}
	if _, err = w.conn.Write(data); errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w (%w)", ErrStalled, err)
	}
	if err != nil {
		return w.lastWords(err)
	}
	return nil
}

// lastWords returns why nothing can be written any more: what the server said before it hung
// up, such as that it does not like our certificate, if that is there.
func (w *wire) lastWords(err error) error {
	if w.conn.SetReadDeadline(time.Now().Add(min(w.probe, time.Second))) != nil {
		return err
	}
	for range w.in {
	}
	var plain syscall.Errno
	if errors.As(w.readErr, &plain) || errors.Is(w.readErr, io.EOF) || errors.Is(w.readErr, os.ErrDeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w (%w)", w.readErr, err)
}

// call sends a request and waits for its response. Notifications that come before it go to
// notify. A server that talks of other things only is as good as a stalled one.
func (w *wire) call(ctx context.Context, method string, params, result any, notify func(message) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, maxSilence*w.probe,
		fmt.Errorf("%w: no response for %v", ErrStalled, maxSilence*w.probe))
	defer cancel()
	data, err := json.Marshal(params)
	if err != nil {
		return err
	}
	w.lastID++
	id := fmt.Sprint(w.lastID)
	if err := w.send(message{Method: method, Params: data, ID: json.RawMessage(id)}); err != nil {
		return err
	}
	for {
		m, err := w.next(ctx, nil)
		if err != nil {
			return err
		}
		if m.Method == "" && string(m.ID) == id {
			return m.decode(result)
		}
		if m.Method != "" {
			if err := notify(m); err != nil {
				return err
			}
		}
	}
}

// decode reads the result of a response.
func (m message) decode(result any) error {
	if string(m.Error) == `"unknown method"` {
		return errUnknownMethod
	}
	if len(m.Error) > 0 && string(m.Error) != "null" {
		return fmt.Errorf("the server refused: %.200s", m.Error)
	}
	if err := json.Unmarshal(m.Result, result); err != nil {
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	return nil
}
