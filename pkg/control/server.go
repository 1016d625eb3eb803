package control

import (
	"context"
	"errors"
	"net"
	"os"
	"time"

	"golang.org/x/net/netutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	pb "github.com/flowshunt/flowshunt/pkg/control/controlpb"
)

// Server answers the control API from a Backend.
type Server struct {
	// Backend is asked for every answer.
	Backend Backend

	// OnPanic is told of a request that made the backend panic; the server goes
	// on. It may be called concurrently. Nil: the client's error is all there is.
	OnPanic func(method string, value any, stack []byte)

	// Now is the clock that ages of sessions are told against. Nil: time.Now.
	Now func() time.Time
}

// Serve answers on ln until ctx is done, then gives the calls in flight a moment
// and closes ln. It returns nil after such a stop.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	g := newGuard(s.OnPanic)
	srv := grpc.NewServer(
		grpc.ChainUnaryInterceptor(g.unary),
		grpc.ChainStreamInterceptor(g.stream),
		grpc.MaxRecvMsgSize(maxRequest),
		grpc.MaxSendMsgSize(maxAnswer),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.ConnectionTimeout(handshakeTime),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle:     idleTime,
			MaxConnectionAge:      connectionTime,
			MaxConnectionAgeGrace: maxCallTime,
		}),
	)
	pb.RegisterControlServer(srv, &service{backend: s.Backend, now: s.clock(), writers: ownerOf(ln)})

	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(netutil.LimitListener(peerListener{ln}, maxConns)) }()
	select {
	case err := <-ended:
		return &Error{Op: "serve", Path: ln.Addr().String(), Err: err}
	case <-ctx.Done():
		stop(srv)
	}
	if err := <-ended; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return &Error{Op: "serve", Path: ln.Addr().String(), Err: err}
	}
	return nil
}

// ownerOf returns what tells which group may change something.
func ownerOf(ln net.Listener) func() (uint32, error) {
	if l, ok := ln.(*listener); ok {
		return l.owner
	}
	return func() (uint32, error) { return uint32(os.Getegid()), nil }
}

func (s *Server) clock() func() time.Time {
	if s.Now != nil {
		return s.Now
	}
	return time.Now
}

// stop ends srv gracefully, or by force after stopTime.
func stop(srv *grpc.Server) {
	force := time.AfterFunc(stopTime, srv.Stop)
	defer force.Stop()
	srv.GracefulStop()
}
