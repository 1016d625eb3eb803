package main

import (
	"context"
	"net"
	"os"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"google.golang.org/grpc"

	"github.com/flowshunt/flowshunt/pkg/control"
	"github.com/flowshunt/flowshunt/pkg/control/controlpb"
)

// startAgent serves a fake agent until the script ends. It listens before it
// returns.
func startAgent(ts *testscript.TestScript, _ bool, args []string) {
	socket := control.Socket{Path: ts.Getenv("SOCK")}
	if len(args) > 1 {
		socket.Group = args[1]
	}
	ln, err := control.Listen(context.Background(), socket)
	ts.Check(err)
	serve := serveBackend(args[0])
	switch args[0] {
	case "newer":
		serve = serveRaw(newer{})
	case "flood":
		serve = serveRaw(flood{})
	case "silent":
		serve = serveSilence
	case "dead":
		leaveSocket(ts, ln)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, ln) }()
	ts.Defer(func() {
		cancel()
		if err := <-ended; err != nil {
			ts.Logf("agent: %v", err)
		}
	})
}

func serveBackend(name string) func(context.Context, net.Listener) error {
	return func(ctx context.Context, ln net.Listener) error {
		var backend control.Backend = fake(name)
		if name == "churn" {
			backend = &churn{fake: "healthy"}
		}
		s := control.Server{Backend: backend, Now: func() time.Time { return now }}
		return s.Serve(ctx, ln)
	}
}

// serveRaw serves messages as they are, without the bounds of control.Server.
func serveRaw(service controlpb.ControlServer) func(context.Context, net.Listener) error {
	return func(ctx context.Context, ln net.Listener) error {
		srv := grpc.NewServer()
		controlpb.RegisterControlServer(srv, service)
		go func() { <-ctx.Done(); srv.Stop() }()
		return srv.Serve(ln)
	}
}

// serveSilence accepts nothing: connects succeed, answers never come.
func serveSilence(ctx context.Context, ln net.Listener) error {
	<-ctx.Done()
	return ln.Close()
}

// leaveSocket leaves what an agent leaves that was killed.
func leaveSocket(ts *testscript.TestScript, ln net.Listener) {
	path := ts.Getenv("SOCK")
	ts.Check(os.Rename(path, path+".kept"))
	ts.Check(ln.Close())
	ts.Check(os.Rename(path+".kept", path))
}
