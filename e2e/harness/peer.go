package harness

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Peer is one end of connections, played by e2e/traffic. Connections are
// numbered from 1 in the order in which they came up, which at the listening end
// need not be the order of dialling: see Conn.
type Peer struct {
	*Process
	t testing.TB
}

// Event is a line that a traffic program wrote; see package traffic.
type Event struct {
	Conn     int       `json:"conn"`
	Event    string    `json:"event"`
	At       time.Time `json:"at"`
	Local    string    `json:"local"`
	Remote   string    `json:"remote"`
	Sent     int64     `json:"sent"`
	SentCRC  uint32    `json:"sent_crc"`
	Received int64     `json:"received"`
	RecvCRC  uint32    `json:"recv_crc"`
	Error    string    `json:"error"`
}

// Listen starts a peer that accepts connections of network "tcp" or "udp".
// With echo it returns what it gets.
func (vm *VM) Listen(t testing.TB, network string, port uint16, echo bool) *Peer {
	t.Helper()
	args := append(traffic(t), "listen")
	if echo {
		args = append(args, "-echo")
	}
	p := &Peer{vm.Start(t, append(args, network, fmt.Sprintf("[::]:%d", port))...), t}
	p.WaitOutput(t, 20*time.Second, `"listening"`)
	return p
}

// Dial starts a peer with count connections to an address, from source port
// sport on (0: any). It returns when all are up.
func (vm *VM) Dial(t testing.TB, network string, to netip.AddrPort, sport uint16, count int) *Peer {
	t.Helper()
	p := &Peer{vm.Start(t, append(traffic(t), "dial", "-sport", fmt.Sprint(sport), "-n", fmt.Sprint(count), network, to.String())...), t}
	for i := range count {
		p.Event(20*time.Second, i+1, "open")
	}
	return p
}

// DialRaw starts a peer that sends and gets packets of an IP protocol. It takes
// one at either end to have a connection.
func (vm *VM) DialRaw(t testing.TB, proto int, to netip.Addr) *Peer {
	t.Helper()
	p := &Peer{vm.Start(t, append(traffic(t), "dial", fmt.Sprintf("ip:%d", proto), to.String())...), t}
	p.Event(20*time.Second, 1, "open")
	return p
}

// Do gives a connection an order, e.g. Do(1, "send 1000000"): see package traffic.
func (p *Peer) Do(conn int, order string) {
	p.t.Helper()
	if _, err := fmt.Fprintf(p.Stdin, "%d %s\n", conn, order); err != nil {
		p.t.Fatalf("%s: %v; its output:\n%s", p, err, p.Output())
	}
}

// Report asks a connection for its counters.
func (p *Peer) Report(conn int) Event {
	p.t.Helper()
	before := len(p.events(conn, "report"))
	p.Do(conn, "report")
	var last Event
	Within(p.t, 10*time.Second, "a report", func() error {
		all := p.events(conn, "report")
		if len(all) == before {
			return fmt.Errorf("none from connection %d", conn)
		}
		last = all[len(all)-1]
		return nil
	})
	return last
}

// Event waits for the first event of a kind on a connection.
func (p *Peer) Event(limit time.Duration, conn int, kind string) Event {
	p.t.Helper()
	return p.EventWith(limit, conn, kind, func(Event) bool { return true })
}

// EventWith waits for the first event of a kind on a connection that fits.
func (p *Peer) EventWith(limit time.Duration, conn int, kind string, fits func(Event) bool) Event {
	p.t.Helper()
	var got Event
	Within(p.t, limit, fmt.Sprintf("connection %d: %s", conn, kind), func() error {
		for _, e := range p.events(conn, kind) {
			if fits(e) {
				got = e
				return nil
			}
		}
		return fmt.Errorf("its output:\n%s", tail(p.Output()))
	})
	return got
}

// Conn waits for the connection from this address, and returns its
// number.
func (p *Peer) Conn(remote netip.AddrPort) int {
	p.t.Helper()
	conn := 0
	Within(p.t, 20*time.Second, fmt.Sprintf("a connection from %v", remote), func() error {
		for _, e := range p.all() {
			if e.Event == "open" && e.Remote == remote.String() {
				conn = e.Conn
				return nil
			}
		}
		return fmt.Errorf("its output:\n%s", tail(p.Output()))
	})
	return conn
}

func (p *Peer) events(conn int, kind string) []Event {
	return slices.DeleteFunc(p.all(), func(e Event) bool { return e.Conn != conn || e.Event != kind })
}

func (p *Peer) all() []Event {
	var all []Event
	for line := range strings.Lines(p.Output()) {
		var e Event
		if json.Unmarshal([]byte(line), &e) == nil {
			all = append(all, e)
		}
	}
	return all
}

// traffic is the beginning of the traffic program's command line. The program is
// $FLOWSHUNT_TRAFFIC, or where hack/e2e builds it. An emulated processor executes the
// instruction for checksums bit by bit: tables are five times as fast.
func traffic(t testing.TB) []string {
	t.Helper()
	path := os.Getenv("FLOWSHUNT_TRAFFIC")
	if path == "" {
		path, _ = filepath.Abs("../build/traffic")
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v (go build -o build/ ./e2e/traffic; or set FLOWSHUNT_TRAFFIC)", err)
	}
	return []string{"env", "GODEBUG=cpu.sse42=off", path}
}

// Heard says whether a connection has had an event of a kind.
func (p *Peer) Heard(conn int, kind string) bool { return len(p.events(conn, kind)) > 0 }
