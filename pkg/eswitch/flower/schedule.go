package flower

import (
	"sync"
	"time"
)

// recheck is how long it may take to see that somebody put filters at our preferences.
const recheck = time.Minute

// schedule says when ports were looked at. The zero value knows of none.
type schedule struct {
	mu   sync.Mutex
	last map[int32]time.Time
}

// due reports whether a port should be looked at now, and takes it that it is.
func (s *schedule) due(link int32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if last, ok := s.last[link]; ok && now.Sub(last) < recheck {
		return false
	}
	if s.last == nil {
		s.last = make(map[int32]time.Time)
	}
	s.last[link] = now
	return true
}

// forget makes a port due.
func (s *schedule) forget(link int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.last, link)
}
