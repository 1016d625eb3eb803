package ovsdb

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// fault is what a proxy does to the bytes of one connection that the server
// sends. The zero value forwards them.
type fault struct {
	after  int  // bytes forwarded before the fault
	cut    bool // then end both connections
	stall  bool // then forward nothing, in either direction, and keep both open
	garble byte // then XOR each byte with this

	drip  time.Duration // forward a chunk, wait so long, and so on
	chunk int           // bytes
}

// proxy stands between an inventory and a server.
type proxy struct {
	t      testing.TB
	socket string
	server string
	listen net.Listener

	mu    sync.Mutex
	fault fault
	conns map[net.Conn]bool
	count int // connections so far
	sent  int // bytes from clients so far
	wg    sync.WaitGroup
}

func newProxy(t testing.TB, s *server) *proxy {
	t.Helper()
	p := &proxy{t: t, socket: filepath.Join(s.dir, "proxy.sock"), server: s.socket, conns: map[net.Conn]bool{}}
	var err error
	if p.listen, err = net.Listen("unix", p.socket); err != nil {
		t.Fatal(err)
	}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		_ = p.listen.Close()
		p.cutAll()
		p.wg.Wait()
		_ = os.Remove(p.socket)
	})
	return p
}

func (p *proxy) endpoint() string { return "unix:" + p.socket }

// set chooses the fault of the connections that are accepted from now on.
func (p *proxy) set(f fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
}

// cutAll ends all connections.
func (p *proxy) cutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

func (p *proxy) accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

func (p *proxy) open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}

func (p *proxy) requested() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent
}

func (p *proxy) accept() {
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
func (p *proxy) join(client, server net.Conn, f fault) {
	ctx, stalled := context.WithCancel(context.Background())
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
			if _, err := server.Write(buf[:n]); err != nil {
				return
			}
		}
	})
	p.wg.Go(func() {
		defer end()
		f.forward(client, server, stalled)
	})
}

// forward carries out the fault on the bytes from server to client.
func (f fault) forward(client, server net.Conn, stalled func()) {
	buf := make([]byte, 64<<10)
	if f.drip > 0 {
		buf = buf[:f.chunk]
	}
	left := f.after
	for {
		limit := len(buf)
		if f.cut || f.stall || f.garble != 0 {
			limit = min(limit, max(left, 1))
		}
		n, err := server.Read(buf[:limit])
		if err != nil {
			return
		}
		if left <= 0 {
			switch {
			case f.cut:
				return
			case f.stall:
				stalled()
				continue
			case f.garble != 0:
				for i := range n {
					buf[i] ^= f.garble
				}
			}
		}
		left -= n
		if _, err := client.Write(buf[:n]); err != nil {
			return
		}
		if f.drip > 0 {
			<-time.After(f.drip)
		}
	}
}
