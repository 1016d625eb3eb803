package main

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
)

// peers are the connections of this process.
type peers struct {
	echo bool

	mu    sync.Mutex
	conns map[int]*conn
}

func (p *peers) add(nc net.Conn) *conn {
	p.mu.Lock()
	c := &conn{Conn: nc, id: len(p.conns) + 1, echo: p.echo}
	p.conns[c.id] = c
	p.mu.Unlock()
	c.tell("open", nil)
	go c.receive()
	return c
}

func (p *peers) get(id int) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.conns[id]
}

// listen accepts in the background.
func (p *peers) listen(network, addr string) error {
	switch network {
	case "tcp":
		l, err := net.Listen(network, addr)
		if err != nil {
			return err
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				p.add(c)
			}
		}()
	case "udp":
		pc, err := net.ListenPacket(network, addr)
		if err != nil {
			return err
		}
		go p.demultiplex(pc.(*net.UDPConn))
	default:
		return fmt.Errorf("network %q: have tcp and udp", network)
	}
	print(event{Event: "listening"})
	return nil
}

// demultiplex makes a connection of every address that sends to a UDP socket.
func (p *peers) demultiplex(pc *net.UDPConn) {
	known := map[netip.AddrPort]*udpConn{}
	buf := make([]byte, 64<<10)
	for {
		n, from, err := pc.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		c := known[from]
		if c == nil {
			c = newUDPConn(pc, from)
			known[from] = c
			p.add(c)
		}
		c.deliver(buf[:n])
	}
}
