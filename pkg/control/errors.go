package control

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// What can be wrong with a socket or a request. Test with errors.Is; the text of
// an Error says what to do.
var (
	ErrNoAgent     = errors.New("no agent answers")
	ErrPermission  = errors.New("permission denied")
	ErrInUse       = errors.New("another agent answers")
	ErrTimeout     = errors.New("no answer in time")
	ErrTooLarge    = errors.New("answer too large")
	ErrUnsupported = errors.New("not known to this agent")
	ErrRequest     = errors.New("request refused")
	ErrGiven       = errors.New("the order was given, and it is not known what became of it")
)

// Error is what went wrong with a control socket.
type Error struct {
	Op   string // "listen", "connect", or the method that was called
	Path string // of the socket
	Kind error  // one of the sentinels above, or nil
	Err  error  // the cause; nil if Kind says it all
	Hint string // what to do; may be empty
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%s %s: ", e.Op, e.Path)
	switch {
	case e.Kind == nil:
		s += e.Err.Error()
	case e.Err == nil:
		s += e.Kind.Error()
	default:
		s += e.Kind.Error() + ": " + e.Err.Error()
	}
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// Unwrap gives errors.Is both the kind and the cause.
func (e *Error) Unwrap() []error {
	var list []error
	for _, err := range []error{e.Kind, e.Err} {
		if err != nil {
			list = append(list, err)
		}
	}
	return list
}

// toGRPC turns an error of a Backend into what goes over the wire.
func toGRPC(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrGiven):
		return status.Error(codes.Aborted, text(strings.TrimPrefix(err.Error(), ErrGiven.Error()+": ")))
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, text(err.Error()))
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, text(err.Error()))
	case status.Code(err) != codes.Unknown:
		return err
	default:
		return status.Error(codes.Internal, text(err.Error()))
	}
}

// fromGRPC turns what came over the wire into an Error.
func fromGRPC(op, path string, err error) error {
	if err == nil {
		return nil
	}
	s := status.Convert(err)
	e := &Error{Op: op, Path: path, Err: errors.New(s.Message())}
	switch s.Code() {
	case codes.DeadlineExceeded:
		e.Kind, e.Err = ErrTimeout, context.DeadlineExceeded
		e.Hint = "the agent is busy or hangs: see its log, or allow more time"
	case codes.Canceled:
		e.Err = context.Canceled
	case codes.Unavailable:
		e.Kind = ErrNoAgent
		e.Hint = "the agent stopped while it was asked: see its log"
	case codes.ResourceExhausted:
		e.Kind = ErrTooLarge
	case codes.Unimplemented:
		e.Kind = ErrUnsupported
		e.Hint = "the agent is older than this program"
	case codes.PermissionDenied:
		e.Kind = ErrPermission
	case codes.Aborted:
		e.Kind = ErrGiven
		e.Hint = "see the agent's log, and sessions"
	case codes.InvalidArgument:
		e.Kind = ErrRequest
	}
	return e
}
