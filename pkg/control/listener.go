package control

import (
	"net"
	"os"
	"sync"
)

// listener owns the socket's name and the lock beside it.
type listener struct {
	net.Listener
	path string
	lock *os.File
	once sync.Once
	err  error
}

// Close stops listening, removes the socket and then gives up the lock, in this
// order: whoever takes the lock next finds no socket, or its own.
func (l *listener) Close() error {
	l.once.Do(func() {
		l.err = l.Listener.Close()
		os.Remove(l.path)
		l.lock.Close()
	})
	return l.err
}
