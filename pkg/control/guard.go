package control

import (
	"context"
	"runtime/debug"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// guard stands in front of every call: it bounds their number and length, and
// turns a panic into an error of that call alone.
type guard struct {
	slots   chan struct{}
	onPanic func(method string, value any, stack []byte)
}

func newGuard(onPanic func(string, any, []byte)) *guard {
	return &guard{slots: make(chan struct{}, maxCalls), onPanic: onPanic}
}

func (g *guard) enter(ctx context.Context) (context.Context, func(), error) {
	ctx, cancel := context.WithTimeout(ctx, maxCallTime)
	select {
	case g.slots <- struct{}{}:
		return ctx, func() { cancel(); <-g.slots }, nil
	case <-ctx.Done():
		cancel()
		return nil, nil, status.FromContextError(ctx.Err()).Err()
	}
}

func (g *guard) rescue(method string, err *error) {
	v := recover()
	if v == nil {
		return
	}
	*err = status.Errorf(codes.Internal, "the agent failed on this request (%s); its log has the details", method)
	if g.onPanic != nil {
		g.onPanic(method, v, debug.Stack())
	}
}

func (g *guard) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (resp any, err error) {
	ctx, leave, err := g.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	defer g.rescue(info.FullMethod, &err)
	return next(ctx, req)
}

func (g *guard) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	ctx, leave, err := g.enter(ss.Context())
	if err != nil {
		return err
	}
	defer leave()
	defer g.rescue(info.FullMethod, &err)
	return next(srv, &boundedStream{ServerStream: ss, ctx: ctx})
}

// boundedStream carries the bounded context to the handler.
type boundedStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *boundedStream) Context() context.Context { return s.ctx }
