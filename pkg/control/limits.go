package control

import "time"

// Bounds of both sides. A member of the socket's group can make the agent work,
// but not without end.
const (
	maxRequest     = 64 << 10 // bytes of a request
	maxAnswer      = 8 << 20  // bytes of one answer, or of one item of a stream
	maxConns       = 64       // connections at a time
	maxStreams     = 16       // calls at a time on one connection
	maxCalls       = 8        // calls that the backend works on at a time
	maxSessions    = 1 << 19  // sessions in one answer
	maxCallTime    = time.Minute
	handshakeTime  = 5 * time.Second
	idleTime       = time.Minute
	connectionTime = 2 * time.Minute // then no new calls; the running ones get maxCallTime
	stopTime       = 2 * time.Second // for calls in flight when the server stops
)
