package conntrack

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/netlink"
	timo "github.com/ti-mo/conntrack"
	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/flows"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// tuple returns a tuple between two hosts that depend on n.
func tuple(proto flows.Proto, v6 bool, n int, src, dst uint16) flows.Tuple {
	t := flows.Tuple{
		Src: netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}), Dst: addr("198.51.100.7"),
		SrcPort: src, DstPort: dst, Proto: proto,
	}
	if v6 {
		t.Src = netip.AddrFrom16([16]byte{0: 0xfd, 14: byte(n >> 8), 15: byte(n)})
		t.Dst = addr("2001:db8::7")
	}
	return t
}

// zoo returns one entry of every kind that a kernel makes without more modules.
func zoo() []spec {
	master := tuple(flows.TCP, false, 1, 40000, 21)
	all := []spec{
		{tuple: master, status: replied, state: flows.TCPEstablished, flags: [2]uint8{0x2b, 0x23}, scales: [2]uint8{7, 9}},
		{tuple: tuple(flows.TCP, false, 2, 20, 40001), master: &master, state: flows.TCPSynSent},
		{tuple: tuple(flows.TCP, true, 3, 40000, 443), status: replied, state: flows.TCPLastAck, mark: 0xdeadbeef},
		{tuple: tuple(flows.TCP, false, 4, 40000, 443), status: replied, seqAdj: true, state: flows.TCPEstablished},
		{tuple: tuple(flows.TCP, false, 5, 40000, 443), status: replied, syn: true, state: flows.TCPEstablished},
		{tuple: tuple(flows.UDP, false, 6, 5353, 53)},
		{tuple: tuple(flows.UDP, true, 7, 5353, 53), status: replied, zone: 65535},
		{tuple: tuple(flows.ICMP, false, 8, 0x1234, 8<<8), status: flows.StatusSeenReply},
		{tuple: tuple(flows.ICMPv6, true, 9, 0x1234, 128<<8)},
		{tuple: tuple(flows.GRE, false, 10, 0, 0), status: replied},
		{tuple: tuple(flows.GRE, false, 11, 700, 800), status: replied},
		{tuple: tuple(flows.ESP, false, 12, 0, 0), status: flows.StatusSeenReply, zone: 10},
		{tuple: tuple(flows.AH, true, 13, 0, 0)},
		{tuple: tuple(flows.SCTP, false, 14, 36412, 36412), status: replied},
		{tuple: tuple(flows.DCCP, true, 15, 5001, 5002)},
		{tuple: tuple(udpLite, false, 16, 5001, 5002)},
		{tuple: tuple(254, false, 17, 0, 0)},
		{tuple: tuple(flows.TCP, false, 18, 1, 2), zone: 20, state: flows.TCPEstablished},
		{tuple: tuple(flows.UDP, false, 19, 1, 2), zone: 21, zoneDir: ctaTupleOrig},
		{tuple: tuple(flows.UDP, false, 20, 1, 2), zone: 22, zoneDir: ctaTupleReply},
		{tuple: flows.Tuple{Src: addr("::ffff:10.0.0.1"), Dst: addr("::ffff:10.0.0.2"), SrcPort: 1, DstPort: 2, Proto: flows.UDP}},
	}
	nat := spec{tuple: tuple(flows.TCP, false, 21, 40000, 80), status: replied, state: flows.TCPEstablished}
	nat.reply = flows.Tuple{Src: addr("192.0.2.80"), Dst: addr("192.0.2.1"), SrcPort: 8080, DstPort: 1025, Proto: flows.TCP}
	all = append(all, nat)
	for state := flows.TCPSynSent; state <= flows.TCPSynSent2; state++ {
		all = append(all, spec{tuple: tuple(flows.TCP, false, 30+int(state), 1, 2), state: state})
	}
	return all
}

// optional returns entries that need a helper module or a label user.
func optional(t *testing.T) []spec {
	if out, err := exec.Command("sh", "-c",
		`nft add table inet t && nft add chain inet t c && nft add rule inet t c ct label set 1`).CombinedOutput(); err != nil {
		t.Logf("no user of labels: %v: %s", err, out)
	}
	return []spec{
		{tuple: tuple(flows.TCP, false, 60, 40000, 21), status: replied, helper: "ftp", state: flows.TCPEstablished},
		{tuple: tuple(flows.TCP, false, 61, 40000, 80), status: replied, state: flows.TCPEstablished,
			labels: []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}},
	}
}

// makeZoo creates the zoo and what this kernel can of the optional entries.
func makeZoo(t *testing.T, netns int) {
	t.Helper()
	for _, s := range zoo() {
		if err := tryCreate(t, netns, s); err != nil {
			t.Fatalf("create %s: %v", s.tuple, err)
		}
	}
	for _, s := range optional(t) {
		if err := tryCreate(t, netns, s); err != nil {
			t.Logf("not created, helper %q, labels %x: %v", s.helper, s.labels, err)
		}
	}
}

func tryCreate(t testing.TB, netns int, s spec) (refused error) {
	t.Helper()
	c := dial(t, Config{NetNS: netns})
	c.req.reset()
	c.seq++
	s.encode(&c.req, c.seq, unix.NLM_F_ACK)
	err := c.exchange(context.Background(), c.seq, c.seq, func(_ int, m *message) { refused = refusal("create", m) })
	return errors.Join(err, refused)
}

// rawDump returns a copy of each message of a dump.
func rawDump(t testing.TB, c *Conn) [][]byte {
	t.Helper()
	c.seq++
	c.req.reset()
	start := c.req.begin(msgGet, unix.NLM_F_DUMP, c.seq, AnyFamily)
	c.req.end(start)
	if err := c.wire.send(c.req.b); err != nil {
		t.Fatal(err)
	}
	var raw [][]byte
	for done := false; !done; {
		var err error
		done, err = c.receive(func(m *message) (bool, error) {
			if m.isEntry() {
				raw = append(raw, slices.Clone(m.raw))
			}
			return m.typ == unix.NLMSG_DONE, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return raw
}

// theirs is ti-mo's decoding in our words.
func theirs(t testing.TB, raw []byte) flows.Entry {
	t.Helper()
	var m netlink.Message
	if err := m.UnmarshalBinary(raw); err != nil {
		t.Fatal(err)
	}
	var ev timo.Event
	if err := ev.Unmarshal(m); err != nil {
		t.Fatal(err)
	}
	f := ev.Flow
	e := flows.Entry{
		Key:       flows.EntryKey{ID: f.ID, Zone: flows.Zone(f.Zone | f.TupleOrig.Zone), Tuple: theirTuple(f.TupleOrig)},
		Reply:     theirTuple(f.TupleReply),
		Status:    flows.Status(f.Status),
		Mark:      f.Mark,
		Timeout:   f.Timeout,
		HasMaster: f.TupleMaster != timo.Tuple{},
		HasHelper: f.Helper.Name != "",
		HasSeqAdj: f.SeqAdjOrig != timo.SequenceAdjust{} || f.SeqAdjReply.OffsetAfter != 0,
		HasSynPrx: f.SynProxy != timo.SynProxy{},
	}
	copy(e.Labels[:], f.Labels)
	e.Count[flows.Orig] = flows.Counters{Packets: f.CountersOrig.Packets, Bytes: f.CountersOrig.Bytes}
	e.Count[flows.Reply] = flows.Counters{Packets: f.CountersReply.Packets, Bytes: f.CountersReply.Bytes}
	if !f.Timestamp.Start.IsZero() {
		e.Start = uint64(f.Timestamp.Start.UnixNano())
	}
	if tcp := f.ProtoInfo.TCP; tcp != nil {
		e.TCP = flows.TCPInfo{
			State: flows.TCPState(tcp.State),
			// Their 16 bits are flags and mask.
			Flags:       [2]uint8{uint8(tcp.OriginalFlags >> 8), uint8(tcp.ReplyFlags >> 8)},
			WindowScale: [2]uint8{tcp.OriginalWindowScale, tcp.ReplyWindowScale},
		}
	}
	return e
}

func theirTuple(t timo.Tuple) flows.Tuple {
	r := flows.Tuple{
		Src: t.IP.SourceAddress, Dst: t.IP.DestinationAddress,
		SrcPort: t.Proto.SourcePort, DstPort: t.Proto.DestinationPort, Proto: flows.Proto(t.Proto.Protocol),
	}
	if t.Proto.ICMPv4 || t.Proto.ICMPv6 {
		r.SrcPort = t.Proto.ICMPID
		r.DstPort = uint16(t.Proto.ICMPType)<<8 | uint16(t.Proto.ICMPCode)
	}
	return r
}

var compareAddr = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

func TestDecodeLikeTiMo(t *testing.T) {
	netns := enterNetNS(t)
	l, err := Listen(Config{NetNS: netns}, nil, GroupNew, GroupUpdate, GroupDestroy)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	makeZoo(t, netns)
	c := dial(t, Config{NetNS: netns})
	raw := rawDump(t, c)
	if len(raw) < len(zoo()) {
		t.Fatalf("%d entries, created %d", len(raw), len(zoo()))
	}
	capture(t, raw)
	var hasHelper, hasLabels bool
	for _, msg := range raw {
		got := compareDecoding(t, msg)
		hasHelper = hasHelper || got.HasHelper
		hasLabels = hasLabels || got.Labels != [16]byte{}
		if !got.HasCount || got.Start == 0 || got.Key.ID == 0 {
			t.Errorf("%s: no counters, start or id: %+v", got.Key.Tuple, got)
		}
		if err := c.Delete(context.Background(), got.Key); err != nil {
			t.Errorf("delete %s: %v", got.Key.Tuple, err)
		}
	}
	t.Logf("helper compared: %v, labels compared: %v", hasHelper, hasLabels)
	for range 2 * len(raw) { // one event for the birth, one for the death
		n, err := l.wire.receive(l.buf)
		if err != nil {
			t.Fatal(err)
		}
		compareDecoding(t, l.buf[:n])
	}
}

// capture writes the messages to the file named by FLOWSHUNT_CAPTURE, which is
// how testdata/entries.hex was made.
func capture(t *testing.T, raw [][]byte) {
	t.Helper()
	file := os.Getenv("FLOWSHUNT_CAPTURE")
	if file == "" {
		return
	}
	var text strings.Builder
	for _, msg := range raw {
		fmt.Fprintf(&text, "%x\n", msg)
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func compareDecoding(t *testing.T, msg []byte) flows.Entry {
	t.Helper()
	var got flows.Entry
	if err := decodeEntry(msg, &got); err != nil {
		t.Fatalf("decode %x: %v", msg, err)
	}
	want := theirs(t, msg)
	want.HasCount = got.HasCount // they do not tell
	if diff := cmp.Diff(want, got, compareAddr); diff != "" {
		t.Errorf("theirs (-) and ours (+) differ in %x:\n%s", msg, diff)
	}
	return got
}

// Every kind of entry can be named in a request again.
func TestRoundTripOfKeys(t *testing.T) {
	netns := enterNetNS(t)
	makeZoo(t, netns)
	c := dial(t, Config{NetNS: netns})
	var entries []flows.Entry
	if err := c.Dump(context.Background(), Filter{}, func(e *flows.Entry) error {
		entries = append(entries, *e)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	calls := 0
	err := c.Get(context.Background(), keysOf(entries), func(i int, e *flows.Entry, err error) {
		calls++
		if err != nil {
			t.Errorf("get %v: %v", entries[i].Key, err)
			return
		}
		e.Timeout = entries[i].Timeout // runs
		if *e != entries[i] {
			t.Errorf("get:  %+v\ndump: %+v", *e, entries[i])
		}
	})
	if err != nil || calls != len(entries) {
		t.Fatalf("%d answers for %d entries, error %v", calls, len(entries), err)
	}
	updates := make([]Update, len(entries))
	for i := range entries {
		updates[i] = Update{Key: entries[i].Key, Mark: Mark{Set: 0x100, Mask: 0x100}}
	}
	if err := c.Update(context.Background(), updates, func(i int, e *flows.Entry, err error) {
		if err != nil || e.Mark != entries[i].Mark|0x100 {
			t.Errorf("update %v: mark %#x, error %v", entries[i].Key, e.Mark, err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	for i := range entries {
		if err := c.Delete(context.Background(), entries[i].Key); err != nil {
			t.Errorf("delete %v: %v", entries[i].Key, err)
		}
	}
}
