package metrics

import (
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Bounds of scrapes: how many at a time, and how long one may take.
const (
	maxScrapes = 4
	scrapeTime = 10 * time.Second
)

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.Gatherer(), promhttp.HandlerOpts{
		// One bad value must not hide all others.
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: maxScrapes,
		Timeout:             scrapeTime,
	}))
	mux.Handle("GET /healthz", s.Alive)
	mux.Handle("GET /readyz", s.Ready)
	return mux
}

// ServeHTTP implements http.Handler: 200 when all is well, else 503 with what is
// wrong, a line each.
func (c Check) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	wrong := c(r.Context())
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	if len(wrong) == 0 {
		_, _ = io.WriteString(w, "ok\n")
		return
	}
	w.WriteHeader(http.StatusServiceUnavailable)
	for _, line := range wrong {
		_, _ = io.WriteString(w, oneLine(line)+"\n")
	}
}

// oneLine keeps errors of several lines from looking like several.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}
