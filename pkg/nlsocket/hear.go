package nlsocket

import (
	"context"
	"errors"
)

// backlog is how many datagrams may wait while nobody takes what is heard; the kernel
// puts one notification into each.
const backlog = 512

// Receiver is what is heard; *Listener is one.
type Receiver interface {
	Receive(ctx context.Context) ([]byte, error)
	Close() error
}

// Heard is what one datagram told.
type Heard[T any] struct {
	News []T
	Err  error // some may be missing
}

// Hear listens until stop is called. It goes on while nobody takes what it hears, up to a
// bound, so that less is lost. decode reports whether a message is of interest; pause
// waits after an error that would come again at once.
func Hear[T any](ctx context.Context, from Receiver, decode func(Message) (T, bool, error), pause func(context.Context)) (_ <-chan Heard[T], stop func()) {
	out := make(chan Heard[T], backlog)
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		listen(ctx, from, decode, pause, out)
	}()
	return out, func() {
		cancel()
		<-ended
	}
}

func listen[T any](ctx context.Context, from Receiver, decode func(Message) (T, bool, error), pause func(context.Context), out chan<- Heard[T]) {
	for ctx.Err() == nil {
		var h Heard[T]
		datagram, err := from.Receive(ctx)
		if h.Err = err; err == nil {
			h.News, h.Err = DecodeAll(datagram, decode)
		}
		select {
		case out <- h:
		case <-ctx.Done():
			return
		}
		if err != nil && !errors.Is(err, ErrOverrun) { // it will fail again
			pause(ctx)
		}
	}
}

// DecodeAll returns what the messages of a datagram tell, up to the first that cannot be
// understood.
func DecodeAll[T any](datagram []byte, decode func(Message) (T, bool, error)) (news []T, err error) {
	for len(datagram) > 0 {
		m, rest, err := Cut(datagram)
		if err != nil {
			return news, err
		}
		n, ok, err := decode(m)
		if err != nil {
			return news, err
		}
		if ok {
			news = append(news, n)
		}
		datagram = rest
	}
	return news, nil
}
