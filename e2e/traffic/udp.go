package main

import (
	"bytes"
	"net"
	"net/netip"
)

// udpConn is what one address sends to, and gets from, a shared UDP socket.
type udpConn struct {
	*net.UDPConn // the shared one: closing a udpConn must not close it
	remote       netip.AddrPort
	in           chan []byte
}

func newUDPConn(pc *net.UDPConn, remote netip.AddrPort) *udpConn {
	return &udpConn{pc, remote, make(chan []byte, 1024)}
}

// deliver hands over a datagram; what the reader cannot keep up with is lost,
// as it would be in a socket's buffer.
func (c *udpConn) deliver(b []byte) {
	select {
	case c.in <- bytes.Clone(b):
	default:
	}
}

func (c *udpConn) Read(b []byte) (int, error)  { return copy(b, <-c.in), nil }
func (c *udpConn) Write(b []byte) (int, error) { return c.WriteToUDPAddrPort(b, c.remote) }
func (c *udpConn) RemoteAddr() net.Addr        { return net.UDPAddrFromAddrPort(c.remote) }
func (c *udpConn) Close() error                { return nil }
