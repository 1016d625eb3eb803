package harness

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Entry is a conntrack entry as conntrack(8) prints it.
type Entry struct {
	Proto       string // tcp, udp, icmp, ...
	State       string // TCP state; empty for other protocols
	Timeout     int    // seconds
	Orig, Reply Direction
	Status      []string // ASSURED, UNREPLIED, ...
	Mark        uint32
	Zone        uint16
	ID          uint32
}

// Direction is one direction of an entry. Ports are 0 where a protocol has none.
type Direction struct {
	Src, Dst       netip.Addr
	Sport, Dport   uint16
	Packets, Bytes uint64
}

// Packets is what the entry counted in both directions.
func (e Entry) Packets() uint64 { return e.Orig.Packets + e.Reply.Packets }

// Bytes is what the entry counted in both directions.
func (e Entry) Bytes() uint64 { return e.Orig.Bytes + e.Reply.Bytes }

// Has says whether conntrack shows a status, e.g. "ASSURED".
func (e Entry) Has(status string) bool {
	for _, s := range e.Status {
		if s == status {
			return true
		}
	}
	return false
}

// Conntrack lists the node's entries that match a filter in conntrack(8)'s
// words, e.g. "-p", "tcp", "--orig-port-src", "40000".
func (n *Node) Conntrack(filter ...string) ([]Entry, error) {
	out, err := n.Try(append([]string{"conntrack", "-L", "-o", "extended,id"}, filter...)...)
	if err != nil {
		return nil, err
	}
	var entries []Entry
	for line := range strings.Lines(out) {
		e, err := parseEntry(line)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// Entry is the one entry that matches a filter; none or several fail the test.
func (w *World) Entry(filter ...string) Entry {
	w.T.Helper()
	entries, err := w.Conntrack(filter...)
	if err == nil && len(entries) != 1 {
		err = fmt.Errorf("conntrack entries %v: %d, want 1: %+v", filter, len(entries), entries)
	}
	if err != nil {
		w.T.Fatal(err)
	}
	return entries[0]
}

// parseEntry reads a line such as
//
//	ipv4 2 tcp 6 431999 ESTABLISHED src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2 packets=3 bytes=4 src=... [ASSURED] mark=0 zone=10 use=1 id=5
func parseEntry(line string) (Entry, error) {
	fail := func(what string) (Entry, error) {
		return Entry{}, fmt.Errorf("conntrack line: %s: %q", what, line)
	}
	f := strings.Fields(line)
	if len(f) < 6 {
		return fail("too short")
	}
	e := Entry{Proto: f[2]}
	dir, seen := &e.Orig, false
	for i, word := range f[4:] {
		key, value, isPair := strings.Cut(word, "=")
		number, _ := strconv.ParseUint(value, 10, 64)
		switch {
		case strings.HasPrefix(word, "["):
			e.Status = append(e.Status, strings.Trim(word, "[]"))
		case !isPair && i == 0:
			e.Timeout, _ = strconv.Atoi(word)
		case !isPair:
			e.State = word
		case key == "src":
			if seen {
				dir = &e.Reply
			}
			seen = true
			dir.Src, _ = netip.ParseAddr(value)
		case key == "dst":
			dir.Dst, _ = netip.ParseAddr(value)
		case key == "sport":
			dir.Sport = uint16(number)
		case key == "dport":
			dir.Dport = uint16(number)
		case key == "packets":
			dir.Packets = number
		case key == "bytes":
			dir.Bytes = number
		case key == "mark":
			e.Mark = uint32(number)
		case key == "zone":
			e.Zone = uint16(number)
		case key == "id":
			e.ID = uint32(number)
		}
	}
	if !e.Orig.Src.IsValid() || !e.Reply.Dst.IsValid() || e.ID == 0 {
		return fail("no addresses or id")
	}
	return e, nil
}
