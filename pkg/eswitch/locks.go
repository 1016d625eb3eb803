package eswitch

import "sync"

// locks are one lock for each port that has a user. The zero value is fine.
type locks struct {
	mu  sync.Mutex
	use map[int32]*portLock
}

type portLock struct {
	sync.Mutex
	users int // who have it or wait for it
}

// lock waits for the lock of a port and returns what gives it back.
func (l *locks) lock(link int32) (unlock func()) {
	l.mu.Lock()
	if l.use == nil {
		l.use = make(map[int32]*portLock)
	}
	p := l.use[link]
	if p == nil {
		p = new(portLock)
		l.use[link] = p
	}
	p.users++
	l.mu.Unlock()
	p.Lock()
	return func() {
		p.Unlock()
		l.mu.Lock()
		defer l.mu.Unlock()
		if p.users--; p.users == 0 {
			delete(l.use, link)
		}
	}
}
