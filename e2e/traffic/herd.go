package main

import (
	"bufio"
	"container/heap"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"
)

// herd is many UDP flows of one process, each with a rate of its own: that of rank r
// (from 0) is in proportion to 1/(r+1)^skew, as sizes of flows are in networks (Zipf).
type herd struct {
	flows   []flow
	sockets []*net.UDPConn
	payload []byte
	due     schedule
}

// flow is one of them: from one of few sockets to one of few ports, so that
// thousands need no thousands of sockets.
type flow struct {
	socket int
	to     netip.AddrPort
	every  time.Duration // between two datagrams
	sent   atomic.Int64  // bytes of payload
}

// perPort is how many flows have one destination port, from as many sockets.
const perPort = 50

func newHerd(n int, rate, skew float64, sport int, to netip.AddrPort) (*herd, error) {
	h := &herd{flows: make([]flow, n), payload: pattern(datagram)}
	for i := range min(n, perPort) {
		c, err := net.ListenUDP("udp", &net.UDPAddr{Port: sport + i})
		if err != nil {
			return nil, err
		}
		h.sockets = append(h.sockets, c)
		go discard(c)
	}
	sum := 0.0
	for r := range n {
		sum += math.Pow(float64(r+1), -skew)
	}
	for r := range h.flows {
		f := &h.flows[r]
		f.socket = r % perPort
		f.to = netip.AddrPortFrom(to.Addr(), to.Port()+uint16(r/perPort))
		bytes := rate / sum * math.Pow(float64(r+1), -skew)
		f.every = time.Duration(datagram / bytes * float64(time.Second))
		h.due = append(h.due, turn{r, time.Now().Add(time.Duration(rand.Float64() * float64(f.every)))})
	}
	heap.Init(&h.due)
	return h, nil
}

// discard keeps a socket's buffer empty.
func discard(c *net.UDPConn) {
	buf := make([]byte, 2048)
	for {
		_, _ = c.Read(buf) // also an ICMP error is only something to take out
	}
}

// send never returns.
func (h *herd) send() {
	for {
		next := &h.due[0]
		if wait := time.Until(next.at); wait > 0 {
			time.Sleep(max(wait, pace/2))
			continue
		}
		f := &h.flows[next.flow]
		if _, err := h.sockets[f.socket].WriteToUDPAddrPort(h.payload, f.to); err == nil {
			f.sent.Add(int64(len(h.payload)))
		}
		next.at = next.at.Add(f.every)
		heap.Fix(&h.due, 0)
	}
}

// herdReport is what is told for the line "report": the bytes of each flow, by rank.
type herdReport struct {
	Event string  `json:"event"`
	At    string  `json:"at"`
	Bytes []int64 `json:"bytes"`
}

func (h *herd) obey(orders io.Reader) error {
	in := bufio.NewScanner(orders)
	for in.Scan() {
		if in.Text() != "report" {
			return fmt.Errorf("order %q: a herd knows only report", in.Text())
		}
		r := herdReport{Event: "herd", At: time.Now().Format(time.RFC3339Nano), Bytes: make([]int64, len(h.flows))}
		for i := range h.flows {
			r.Bytes[i] = h.flows[i].sent.Load()
		}
		if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
			return err
		}
	}
	return in.Err()
}

// turn is when a flow sends next.
type turn struct {
	flow int
	at   time.Time
}

// schedule is a heap of turns.
type schedule []turn

func (s schedule) Len() int           { return len(s) }
func (s schedule) Less(i, j int) bool { return s[i].at.Before(s[j].at) }
func (s schedule) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s *schedule) Push(x any)        { *s = append(*s, x.(turn)) }
func (s *schedule) Pop() (last any) {
	n := len(*s) - 1
	last, *s = (*s)[n], (*s)[:n]
	return last
}

// answer is what a reflector returns for a datagram of whatever length.
const answer = 16

// reflect answers on n ports from that of addr on.
func reflect(addr netip.AddrPort, n int) error {
	for i := range n {
		c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr.Addr(), addr.Port()+uint16(i))))
		if err != nil {
			return err
		}
		go func() {
			buf := make([]byte, 2048)
			for {
				if n, from, err := c.ReadFromUDPAddrPort(buf); err == nil {
					_, _ = c.WriteToUDPAddrPort(buf[:min(n, answer)], from)
				}
			}
		}()
	}
	print(event{Event: "listening"})
	return nil
}
