package dpctl

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
)

// text answers every method with the same.
type text string

func (s text) Call(context.Context, string, ...string) (string, error) { return string(s), nil }

// What Open vSwitch 3.1 writes.
const (
	tcpLine = "tcp,orig=(src=10.9.0.1,dst=10.9.0.2,sport=40000,dport=5201),reply=(src=10.9.0.2,dst=10.9.0.1,sport=5201,dport=40000)," +
		"id=0,zone=10,status=0,timeout=86400,mark=5,labels=0x2a00000001,protoinfo=(state_orig=ESTABLISHED,state_reply=ESTABLISHED," +
		"wscale_orig=10,wscale_reply=10,flags_orig=WINDOW_SCALE,flags_reply=WINDOW_SCALE)\n"
	udpLine  = "udp,orig=(src=fd00::1,dst=fd00::2,sport=1,dport=2),reply=(src=fd00::2,dst=fd00::1,sport=2,dport=1),id=0,status=0,timeout=29\n"
	icmpLine = "icmp,orig=(src=10.9.0.1,dst=10.9.0.2,id=4166,type=8,code=0),reply=(src=10.9.0.2,dst=10.9.0.1,id=4166,type=0,code=0),id=0,zone=10,status=0\n"
)

func entries(t *testing.T, s string) (list []flows.Entry, unread int) {
	t.Helper()
	c := Client{Caller: text(s)}
	unread, err := c.Connections(t.Context(), nil, func(e *flows.Entry) error { list = append(list, *e); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return list, unread
}

func TestConnections(t *testing.T) {
	list, unread := entries(t, tcpLine+icmpLine+udpLine+"tcp,orig=(src=10.9.0.1\n\n")
	if len(list) != 2 || unread != 1 {
		t.Fatalf("%d entries, %d unread", len(list), unread)
	}
	tcp := list[0]
	if want := "tcp,10.9.0.1:40000,10.9.0.2:5201"; tcp.Key.Tuple.String() != want || tcp.Reply != tcp.Key.Tuple.Reverse() {
		t.Errorf("tuples %v, %v", tcp.Key.Tuple, tcp.Reply)
	}
	if tcp.Key.Zone != 10 || tcp.Key.ID != EntryID || tcp.Mark != 5 || tcp.Timeout != 86400 || tcp.Labels[0] != 1 || tcp.Labels[4] != 0x2a {
		t.Errorf("%+v", tcp)
	}
	if !tcp.Status.Has(flows.StatusConfirmed|flows.StatusSeenReply|flows.StatusAssured) || tcp.TCP.State != flows.TCPEstablished {
		t.Errorf("%+v", tcp)
	}
	if udp := list[1]; udp.Key.Zone != 0 || udp.Status != flows.StatusConfirmed || udp.Key.Tuple.Src != netip.MustParseAddr("fd00::1") {
		t.Errorf("%+v", udp)
	}
}

// TestTranslated: the datapath does not say that an entry is translated, but shows it.
func TestTranslated(t *testing.T) {
	for reply, want := range map[string]flows.Status{
		"src=10.9.0.2,dst=10.9.0.1,sport=2,dport=1":    0,
		"src=10.9.0.2,dst=203.0.113.1,sport=2,dport=1": flows.StatusSrcNAT,
		"src=10.9.0.2,dst=10.9.0.1,sport=2,dport=9":    flows.StatusSrcNAT,
		"src=10.9.0.9,dst=10.9.0.1,sport=2,dport=1":    flows.StatusDstNAT,
		"src=10.9.0.2,dst=10.9.0.7,sport=8,dport=1":    flows.StatusSrcNAT | flows.StatusDstNAT,
	} {
		list, unread := entries(t, "udp,orig=(src=10.9.0.1,dst=10.9.0.2,sport=1,dport=2),reply=("+reply+"),id=0,status=0,timeout=29\n")
		if len(list) != 1 || unread != 0 || list[0].Status != want|flows.StatusConfirmed {
			t.Errorf("%s: %+v, want status %#x", reply, list, want)
		}
	}
}

func TestTCPStates(t *testing.T) {
	for states, want := range map[string]flows.TCPState{
		"state_orig=SYN_SENT,state_reply=CLOSED":         flows.TCPSynSent,
		"state_orig=SYN_SENT,state_reply=SYN_SENT":       flows.TCPSynSent,
		"state_orig=ESTABLISHED,state_reply=SYN_SENT":    flows.TCPSynRecv,
		"state_orig=ESTABLISHED,state_reply=ESTABLISHED": flows.TCPEstablished,
		"state_orig=CLOSING,state_reply=ESTABLISHED":     flows.TCPFinWait,
		"state_orig=ESTABLISHED,state_reply=FIN_WAIT_2":  flows.TCPFinWait,
		"state_orig=FIN_WAIT_2,state_reply=FIN_WAIT_2":   flows.TCPFinWait,
		"state_orig=TIME_WAIT,state_reply=TIME_WAIT":     flows.TCPTimeWait,
		"state=TIME_WAIT,state_reply=CLOSED":             flows.TCPClose,
	} {
		line := strings.Replace(tcpLine, "state_orig=ESTABLISHED,state_reply=ESTABLISHED", states, 1)
		list, unread := entries(t, line)
		if len(list) != 1 || unread != 0 || list[0].TCP.State != want {
			t.Errorf("%s: %+v, want %s", states, list, want)
		}
	}
	if list, unread := entries(t, strings.Replace(tcpLine, "=ESTABLISHED", "=HALF_OPEN", 1)); len(list) != 0 || unread != 1 {
		t.Errorf("an unknown state was read: %+v", list)
	}
}

// TestPickedUp: without a window scale on either side a connection looks as one that
// was picked up in mid-stream does, and must be taken for one.
func TestPickedUp(t *testing.T) {
	const picked = flows.TCPFlagSACKPerm | flows.TCPFlagBeLiberal
	list, _ := entries(t, strings.ReplaceAll(tcpLine, "WINDOW_SCALE", ""))
	if got := list[0].TCP.Flags; got != [2]uint8{picked, picked} {
		t.Errorf("flags %#v", got)
	}
	if list, _ = entries(t, tcpLine); list[0].TCP.Flags[0]&picked != 0 {
		t.Errorf("flags %#v of one with a handshake", list[0].TCP.Flags)
	}
}

func TestChecksTCPSequence(t *testing.T) {
	for s, want := range map[string]bool{"TCP sequence checking: enabled\n": true, "TCP sequence checking: disabled\n": false} {
		if got, err := (&Client{Caller: text(s)}).ChecksTCPSequence(t.Context()); got != want || err != nil {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	if _, err := (&Client{Caller: text("?")}).ChecksTCPSequence(t.Context()); !errors.Is(err, ErrFormat) {
		t.Errorf("%v", err)
	}
}

func TestPorts(t *testing.T) {
	ports, err := parsePorts("netdev@ovs-netdev:\n  lookups: hit:1 missed:9 lost:0\n  flows: 9\n  port 0: ovs-netdev (tap)\n  port 3: v1\n  port 4: v x\n")
	if err != nil || len(ports) != 3 || ports["v1"] != 3 || ports["ovs-netdev"] != 0 || ports["v x"] != 4 {
		t.Errorf("%v, %v", ports, err)
	}
	if _, err := parsePorts("  port x: v1\n"); !errors.Is(err, ErrFormat) {
		t.Errorf("%v", err)
	}
}

// FuzzEntry: what is read is a valid entry, and nothing makes the parser panic.
func FuzzEntry(f *testing.F) {
	for _, line := range []string{tcpLine, udpLine, icmpLine} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		var e flows.Entry
		known, err := parseEntry(line, &e)
		if known && err == nil && (!e.Key.Tuple.IsValid() || !e.Reply.IsValid() || e.Key.ID != EntryID) {
			t.Errorf("%q: %+v", line, e)
		}
	})
}
