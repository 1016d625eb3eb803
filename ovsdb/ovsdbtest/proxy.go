package ovsdbtest

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Fault is what a proxy does to the bytes of one connection that the server
// sends. The zero value forwards them.
type Fault struct {
	After  int  // bytes forwarded before the fault
	Cut    bool // then end both connections
	Stall  bool // then forward nothing, in either direction, and keep both open
	Garble byte // then XOR each byte with this

	Old bool // the server has no monitor_cond

	// Lose has the first request with this text in it answered by the end of its connection:
	// once for all connections. Unsent: it does not even reach the server.
	Lose   string
	Unsent bool

	Drip  time.Duration // forward a chunk, wait so long, and so on
	Chunk int           // bytes
}

// Proxy stands between a client and a server.
type Proxy struct {
	t      testing.TB
	socket string
	server string
	listen net.Listener

	mu    sync.Mutex
	fault Fault
	lost  int // requests, by Fault.Lose
	text  string
	first func() // before a request with this text in it
	conns map[net.Conn]bool
	count int // connections so far
	sent  int // bytes from clients so far
	said  int // bytes from servers so far
	wg    sync.WaitGroup
}

// NewProxy listens until the test ends.
func NewProxy(t testing.TB, s *Server) *Proxy {
	t.Helper()
	p := &Proxy{t: t, socket: filepath.Join(s.Dir, "proxy.sock"), server: s.Socket, conns: map[net.Conn]bool{}}
	var err error
	if p.listen, err = net.Listen("unix", p.socket); err != nil {
		t.Fatal(err)
	}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		_ = p.listen.Close()
		p.CutAll()
		p.wg.Wait()
		_ = os.Remove(p.socket)
	})
	return p
}

// Endpoint is where clients reach the proxy.
func (p *Proxy) Endpoint() string { return "unix:" + p.socket }

// Set chooses the fault of the connections that are accepted from now on.
func (p *Proxy) Set(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
}

// CutAll ends all connections.
func (p *Proxy) CutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

// Accepted returns how many connections there were.
func (p *Proxy) Accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

// Open returns how many there are, of both sides.
func (p *Proxy) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}

// Said returns how many bytes servers have sent.
func (p *Proxy) Said() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said
}

// Lost returns how many requests were not answered, by Fault.Lose.
func (p *Proxy) Lost() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost
}

// Before has act called once, before the next request with this text in it is passed on.
func (p *Proxy) Before(text string, act func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text, p.first = text, act
}

// before does what is to be done before a request.
func (p *Proxy) before(request []byte) {
	p.mu.Lock()
	act := p.first
	if act == nil || !bytes.Contains(request, []byte(p.text)) {
		p.mu.Unlock()
		return
	}
	p.first = nil
	p.mu.Unlock()
	act()
}

// loses reports whether a request is the one that is to be lost.
func (p *Proxy) loses(f Fault, request []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.Lose == "" || p.fault.Lose != f.Lose || !bytes.Contains(request, []byte(f.Lose)) {
		return false
	}
	p.fault.Lose = ""
	p.lost++
	return true
}

// Requested returns how many bytes clients have sent.
func (p *Proxy) Requested() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent
}

func (p *Proxy) accept() {
	for {
		client, err := p.listen.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("unix", p.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		f := p.fault
		p.count++
		p.conns[client], p.conns[server] = true, true
		p.mu.Unlock()
		p.join(client, server, f)
	}
}

// join forwards both ways until either side ends.
func (p *Proxy) join(client, server net.Conn, f Fault) {
	ctx, stalled := context.WithCancel(context.Background())
	var answered atomic.Bool // by the end, from now on
	end := func() {
		stalled()
		_ = client.Close()
		_ = server.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, client)
		delete(p.conns, server)
	}
	p.wg.Go(func() {
		defer end()
		buf := make([]byte, 64<<10)
		for {
			n, err := client.Read(buf)
			if err != nil {
				return
			}
			p.mu.Lock()
			p.sent += n
			p.mu.Unlock()
			if ctx.Err() != nil {
				continue // swallowed
			}
			request := buf[:n]
			p.before(request)
			if p.loses(f, request) {
				if f.Unsent {
					return
				}
				answered.Store(true)
			}
			if f.Old { // clients write a request at once
				request = bytes.ReplaceAll(request, []byte(`"monitor_cond"`), []byte(`"monitor_none"`))
			}
			if _, err := server.Write(request); err != nil {
				return
			}
		}
	})
	p.wg.Go(func() {
		defer end()
		f.forward(client, heard{server, p, &answered}, stalled)
	})
}

// forward carries out the fault on the bytes from server to client.
func (f Fault) forward(client, server net.Conn, stalled func()) {
	buf := make([]byte, 64<<10)
	if f.Drip > 0 {
		buf = buf[:f.Chunk]
	}
	left := f.After
	for {
		limit := len(buf)
		if f.Cut || f.Stall || f.Garble != 0 {
			limit = min(limit, max(left, 1))
		}
		n, err := server.Read(buf[:limit])
		if err != nil {
			return
		}
		if left <= 0 {
			switch {
			case f.Cut:
				return
			case f.Stall:
				stalled()
				continue
			case f.Garble != 0:
				for i := range n {
					buf[i] ^= f.Garble
				}
			}
		}
		left -= n
		if _, err := client.Write(buf[:n]); err != nil {
			return
		}
		if f.Drip > 0 {
			<-time.After(f.Drip)
		}
	}
}

// heard counts what a server says. What it says after a request that is to be lost is its end.
type heard struct {
	net.Conn
	p    *Proxy
	lost *atomic.Bool
}

func (h heard) Read(b []byte) (int, error) {
	n, err := h.Conn.Read(b)
	h.p.mu.Lock()
	defer h.p.mu.Unlock()
	h.p.said += n
	if h.lost.Load() {
		return 0, io.EOF
	}
	return n, err
}
