package metrics

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/flowshunt/flowshunt/pkg/version"
)

// Bounds of one connection. A scrape of thousands of series takes milliseconds.
const (
	maxHeader  = 8 << 10 // bytes
	headerTime = 5 * time.Second
	readTime   = 10 * time.Second
	writeTime  = 30 * time.Second
	idleTime   = 2 * time.Minute // longer than most scrape intervals
	stopTime   = time.Second     // for scrapes that are under way when the server stops
)

// Check returns what is wrong, a line each; nothing when all is well. It may be
// called concurrently.
type Check func(context.Context) []string

// Server serves /metrics, /healthz and /readyz, and nothing else. All fields are
// required but Log.
type Server struct {
	Source   Source
	Recorder *Recorder
	Alive    Check       // whether the agent works at all; a supervisor restarts it otherwise
	Ready    Check       // whether it has seen everything and everything works
	Log      *log.Logger // of clients that cannot speak; nil: nothing is logged
}

// Gatherer returns the metrics, with those of the process and the Go runtime.
func (s *Server) Gatherer() prometheus.Gatherer {
	registry := prometheus.NewRegistry()
	registry.MustRegister(s.own()...)
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

// own are the metrics that the reference page lists.
func (s *Server) own() []prometheus.Collector {
	return append(s.Recorder.collectors(), s.Recorder.cfg.Traffic, &collector{s.Source, version.Get()})
}

// Serve answers on l, which it closes, until ctx ends.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := s.httpServer()
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve metrics: %w", err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	if server.Shutdown(stop) != nil {
		_ = server.Close()
	}
	<-ended
	return nil
}

func (s *Server) httpServer() *http.Server {
	var http1 http.Protocols
	http1.SetHTTP1(true) // one request at a time on a connection, so that connections bound them
	logger := s.Log
	if logger == nil {
		logger = log.New(io.Discard, "", 0)
	}
	return &http.Server{
		Handler: s.handler(), Protocols: &http1, ErrorLog: logger, MaxHeaderBytes: maxHeader,
		ReadHeaderTimeout: headerTime, ReadTimeout: readTime, WriteTimeout: writeTime, IdleTimeout: idleTime,
	}
}
