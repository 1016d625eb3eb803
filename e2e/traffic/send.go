package main

import (
	"net"
	"time"
)

// datagram is the payload of a UDP packet: fits the path without fragments.
const datagram = 1200

// pace is how often a limited sender wakes up.
const pace = 10 * time.Millisecond

// send sends so many bytes of a pattern, at most rate a second (0: no limit), or fewer
// if there are more stops than at first.
func (c *conn) send(bytes, rate int64, stops int32) {
	c.sending.Lock()
	defer c.sending.Unlock()
	size := 64 << 10
	if _, tcp := c.Conn.(*net.TCPConn); !tcp {
		size = datagram
	}
	block := pattern(size)
	start, sent := time.Now(), int64(0)
	for sent < bytes && c.stops.Load() == stops {
		if rate > 0 && float64(sent) > time.Since(start).Seconds()*float64(rate) {
			time.Sleep(pace)
			continue
		}
		b := block[:min(int64(size), bytes-sent)]
		// a different first byte each time: a lost or doubled block shows in the checksum
		b[0] = byte(sent / int64(size))
		if err := c.write(b); err != nil {
			c.tell("error", err)
			return
		}
		sent += int64(len(b))
	}
	c.tell("sent", nil)
}

// chat sends a little at an interval until told to stop.
func (c *conn) chat(interval time.Duration, stop <-chan struct{}) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	line := pattern(64)
	for {
		c.sending.Lock()
		err := c.write(line)
		c.sending.Unlock()
		if err != nil {
			c.tell("error", err)
			return
		}
		select {
		case <-stop:
			return
		case <-tick.C:
		}
	}
}

// say sends a text.
func (c *conn) say(text string) {
	c.sending.Lock()
	defer c.sending.Unlock()
	if err := c.write([]byte(text)); err != nil {
		c.tell("error", err)
	}
}

// pattern is bytes without short repetitions, so that a shift changes them.
func pattern(n int) []byte {
	b := make([]byte, n)
	x := uint32(2463534242) // xorshift32
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x)
	}
	return b
}
