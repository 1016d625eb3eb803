package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// conn is one connection with its counters.
type conn struct {
	net.Conn
	id   int
	echo bool

	stops   atomic.Int32  // orders so far to stop: what was to be sent before, is not
	sending sync.Mutex    // one send at a time; orders may overlap
	stop    chan struct{} // of the chat

	mu sync.Mutex
	event
}

// event is what is told of a connection, counters included.
type event struct {
	Conn     int    `json:"conn"`
	Event    string `json:"event"`
	At       string `json:"at"`
	Local    string `json:"local,omitempty"`
	Remote   string `json:"remote,omitempty"`
	Sent     int64  `json:"sent"`
	SentCRC  uint32 `json:"sent_crc"`
	Received int64  `json:"received"`
	RecvCRC  uint32 `json:"recv_crc"`
	Error    string `json:"error,omitempty"`
}

var stdout sync.Mutex

func (c *conn) tell(what string, err error) {
	c.mu.Lock()
	e := c.event
	c.mu.Unlock()
	e.Conn, e.Event = c.id, what
	e.Local, e.Remote = c.LocalAddr().String(), c.RemoteAddr().String()
	if err != nil {
		e.Error = err.Error()
	}
	print(e)
}

func print(e event) {
	stdout.Lock()
	defer stdout.Unlock()
	e.At = time.Now().Format(time.RFC3339Nano)
	_ = json.NewEncoder(os.Stdout).Encode(e)
}

// do starts an order; those that take time go on in the background.
func (c *conn) do(verb string, args []string) error {
	if verb == "say" {
		go c.say(strings.Join(args, " "))
		return nil
	}
	var n [2]int64
	for i, a := range args {
		v, err := strconv.ParseInt(a, 10, 64)
		if err != nil || v < 0 || i >= len(n) {
			return fmt.Errorf("argument %q", a)
		}
		n[i] = v
	}
	switch verb {
	case "send":
		go c.send(n[0], n[1], c.stops.Load())
	case "chat":
		if n[0] == 0 || c.stop != nil {
			return errors.New("needs an interval, and no chat yet")
		}
		c.stop = make(chan struct{})
		go c.chat(time.Duration(n[0])*time.Millisecond, c.stop)
	case "stop":
		c.stops.Add(1)
		if c.stop != nil {
			close(c.stop)
			c.stop = nil
		}
	case "fin":
		if tcp, ok := c.Conn.(*net.TCPConn); ok {
			c.tell(verb, nil) // before: the packet is no older than that
			return tcp.CloseWrite()
		}
		return errors.New("only TCP has a FIN")
	case "rst":
		if tcp, ok := c.Conn.(*net.TCPConn); ok {
			c.tell(verb, nil)
			return errors.Join(tcp.SetLinger(0), tcp.Close())
		}
		return errors.New("only TCP has a RST")
	case "close":
		return c.Close()
	case "report":
		c.tell("report", nil)
	default:
		return errors.New("unknown verb")
	}
	return nil
}

// receive reads until the other end stops, and tells how it stopped.
func (c *conn) receive() {
	buf := make([]byte, 256<<10)
	for {
		n, err := c.Read(buf)
		c.mu.Lock()
		c.Received += int64(n)
		c.RecvCRC = crc32.Update(c.RecvCRC, castagnoli, buf[:n])
		c.mu.Unlock()
		if n > 0 && c.echo {
			_ = c.write(buf[:n])
		}
		switch {
		case err == nil:
			continue
		case errors.Is(err, io.EOF):
			c.tell("eof", nil)
			if c.echo {
				_ = c.Close()
			}
		case errors.Is(err, syscall.ECONNRESET):
			c.tell("reset", err)
		case errors.Is(err, net.ErrClosed):
			c.tell("closed", nil)
		default:
			c.tell("error", err)
			if _, udp := c.Conn.(*net.UDPConn); udp && errors.Is(err, syscall.ECONNREFUSED) {
				continue // an ICMP error; the socket lives on
			}
		}
		return
	}
}

func (c *conn) write(b []byte) error {
	n, err := c.Write(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Sent += int64(n)
	c.SentCRC = crc32.Update(c.SentCRC, castagnoli, b[:n])
	return err
}
