// Command traffic plays one end of TCP or UDP connections for the stories of
// e2e: what iperf3 and curl cannot do.
//
//	traffic listen [-echo] tcp|udp ADDR
//	traffic dial [-sport PORT] [-n COUNT] tcp|udp|ip:PROTOCOL ADDR
//	traffic herd [-sport PORT] [-n COUNT] [-rate BYTES] [-skew S] udp ADDR
//	traffic reflect [-n PORTS] udp ADDR
//	traffic renumber -sport PORT DEV DEV
//
// Connections are numbered from 1. Orders come on stdin, one a line, the
// connection's number first:
//
//	1 send BYTES [RATE]   send so many bytes, at most RATE bytes a second
//	1 chat MILLISECONDS   send a line of 64 bytes at this interval until stop
//	1 say TEXT            send a text
//	1 stop                stop chatting and sending
//	1 fin                 close the sending half
//	1 rst                 close with a reset
//	1 close               close both halves
//	1 report              tell the counters
//
// A herd is thousands of UDP flows of known, unequal rates to the ports from that of
// ADDR on, which a reflector answers; its only order is report. Renumber is an inspector
// between two devices that gives connections to one port other sequence numbers.
//
// What happens is told on stdout, one JSON object a line, with the time and the
// counters of that moment: listening, open, sent, fin and rst (just before they are
// sent), eof (the other end's FIN), reset, error, closed, report. The checksums are CRC-32C over all bytes of a direction.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "traffic:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("usage: traffic listen|dial [flag...] tcp|udp ADDR")
	}
	fs := flag.NewFlagSet("traffic "+args[0], flag.ContinueOnError)
	echo := fs.Bool("echo", false, "listen: return what comes in")
	sport := fs.Int("sport", 0, "dial: first source port, 0: any; renumber: the server's port")
	count := fs.Int("n", 1, "dial: connections")
	rate := fs.Float64("rate", 1e6, "herd: bytes per second of all flows")
	skew := fs.Float64("skew", 1, "herd: exponent of the rates; 0: all alike")
	if err := fs.Parse(args[1:]); err != nil {
		return err
	}
	if fs.NArg() != 2 {
		return errors.New("need a network and an address")
	}
	network, addr := fs.Arg(0), fs.Arg(1)
	switch args[0] {
	case "renumber":
		if err := renumber([2]string{network, addr}, uint16(*sport)); err != nil {
			return err
		}
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	case "herd", "reflect":
		to, err := netip.ParseAddrPort(addr)
		if err != nil || network != "udp" {
			return fmt.Errorf("%s %s %s: need udp and an address with a port", args[0], network, addr)
		}
		return drive(args[0], to, *sport, *count, *rate, *skew)
	}
	p := &peers{echo: *echo, conns: map[int]*conn{}}
	var err error
	switch args[0] {
	case "listen":
		err = p.listen(network, addr)
	case "dial":
		err = p.dial(network, addr, *sport, *count)
	default:
		err = fmt.Errorf("unknown command %q", args[0])
	}
	if err != nil {
		return err
	}
	return p.obey(os.Stdin)
}

// drive plays one end of a herd.
func drive(end string, to netip.AddrPort, sport, count int, rate, skew float64) error {
	if end == "reflect" {
		if err := reflect(to, count); err != nil {
			return err
		}
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	}
	h, err := newHerd(count, rate, skew, sport, to)
	if err != nil {
		return err
	}
	go h.send()
	return h.obey(os.Stdin)
}

// dial makes the connections one after the other.
func (p *peers) dial(network, addr string, sport, count int) error {
	for i := range count {
		d := net.Dialer{Control: reuse}
		if sport != 0 {
			to, err := netip.ParseAddrPort(addr)
			if err != nil {
				return err
			}
			d.LocalAddr = local(network, to, sport+i)
		}
		c, err := d.Dial(network, addr)
		if err != nil {
			return err
		}
		p.add(c)
	}
	return nil
}

// reuse lets a source port be taken again that an older connection has left in
// TIME_WAIT.
func reuse(_, _ string, raw syscall.RawConn) error {
	var err error
	control := raw.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	})
	return errors.Join(control, err)
}

// local is the unspecified address of the same family with a port.
func local(network string, to netip.AddrPort, port int) net.Addr {
	ip := net.IPv4zero
	if to.Addr().Is6() {
		ip = net.IPv6unspecified
	}
	if network == "udp" {
		return &net.UDPAddr{IP: ip, Port: port}
	}
	return &net.TCPAddr{IP: ip, Port: port}
}

// obey carries out the orders until stdin ends.
func (p *peers) obey(orders io.Reader) error {
	in := bufio.NewScanner(orders)
	for in.Scan() {
		f := strings.Fields(in.Text())
		if len(f) < 2 {
			return fmt.Errorf("order %q: need a connection and a verb", in.Text())
		}
		id, err := strconv.Atoi(f[0])
		c := p.get(id)
		if err != nil || c == nil {
			return fmt.Errorf("order %q: no such connection", in.Text())
		}
		if err := c.do(f[1], f[2:]); err != nil {
			return fmt.Errorf("order %q: %w", in.Text(), err)
		}
	}
	return in.Err()
}
