package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// echoID marks the responses to our own liveness probes; calls have numbers.
var echoID = json.RawMessage(`"echo"`)

// errWoken says that there is something to do other than to read.
var errWoken = errors.New("woken")

// maxSilence is how many probe times may pass without one complete message. It
// bounds a server that keeps bytes trickling.
const maxSilence = 12

// next returns the next message that is not about liveness. A server that is
// silent for a third of the probe time is sent an echo request; one from which
// not a byte comes in the two thirds after that is stalled. Silence is counted
// only while waiting, and only after an echo was sent, so that a process that
// was itself not scheduled for a while does not blame the server.
//
// A value from wake, which may be nil, ends the waiting with errWoken.
func (w *wire) next(ctx context.Context, wake <-chan struct{}) (message, error) {
	tick := time.NewTicker(max(w.probe/12, time.Millisecond))
	defer tick.Stop()
	w.heardAt, w.echoAt = w.now(), 0
	for {
		select {
		case m, ok := <-w.in:
			if !ok {
				return message{}, w.ended(ctx)
			}
			w.heardAt = w.now()
			if ours, err := w.liveness(m); err != nil || !ours {
				return m, err
			}
		case <-tick.C:
			if err := w.check(); err != nil {
				return message{}, err
			}
		case <-wake:
			return message{}, errWoken
		case <-ctx.Done():
			return message{}, context.Cause(ctx)
		}
	}
}

// poll returns a message that is here already, if there is one.
func (w *wire) poll() (message, bool) {
	for {
		select {
		case m, ok := <-w.in:
			if !ok {
				return message{}, false // the next call of next says why
			}
			if ours, err := w.liveness(m); err == nil && !ours {
				return m, true
			}
		default:
			return message{}, false
		}
	}
}

// liveness handles echo requests and replies, and answers to transactions and about the position, which
// can come at any time, and reports whether m was one.
func (w *wire) liveness(m message) (bool, error) {
	switch {
	case m.Method == "echo":
		return true, w.send(message{Result: orEmpty(m.Params), Error: json.RawMessage("null"), ID: m.ID})
	case m.Method == "" && string(m.ID) == string(echoID):
		w.echoAt = 0
		return true, nil
	case m.Method == "" && string(m.ID) == string(positionID):
		w.position = m.Result
		return true, nil
	case m.Method == "" && w.answered(m):
		return true, nil
	}
	return false, nil
}

func orEmpty(params json.RawMessage) json.RawMessage {
	if len(params) == 0 {
		return json.RawMessage("[]")
	}
	return params
}

// check sends an echo request when the server was silent for long, and gives
// the server up when it stays so.
func (w *wire) check() error {
	if len(w.in) > 0 {
		return nil
	}
	now, lastRead := w.now(), time.Duration(w.lastRead.Load())
	switch {
	case now-w.heardAt > maxSilence*w.probe:
		return fmt.Errorf("%w: no complete message for %v", ErrStalled, maxSilence*w.probe)
	case w.echoAt > 0 && now-max(w.echoAt, lastRead) >= w.probe*2/3:
		return fmt.Errorf("%w for %v", ErrStalled, w.probe)
	case w.echoAt == 0 && now-max(w.heardAt, lastRead) >= w.probe/3:
		w.echoAt = now
		return w.send(message{Method: "echo", Params: json.RawMessage("[]"), ID: echoID})
	}
	return nil
}

// ended returns why the reader stopped.
func (w *wire) ended(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.Is(w.readErr, io.EOF):
		return errors.New("the server closed the connection")
	case errors.Is(w.readErr, io.ErrUnexpectedEOF):
		return errors.New("the connection ended within a message")
	case errors.As(w.readErr, &syntax), errors.As(w.readErr, &kind):
		return fmt.Errorf("%w: %w", ErrProtocol, w.readErr)
	}
	return w.readErr
}
