package openflow

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

func (b *bridge) client() *Client {
	b.t.Helper()
	c, err := Dial(context.Background(), b.socket(), 0)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { c.Close() })
	return c
}

func (b *bridge) read(c *Client, filter Filter) (list []Flow) {
	b.t.Helper()
	err := c.Flows(context.Background(), filter, func(f *Flow) error {
		copied := *f
		copied.Actions = nil
		for _, a := range f.Actions {
			copied.Actions = append(copied.Actions, a.Clone())
		}
		list = append(list, copied)
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return list
}

// matches has every field of Match in some of them.
var matches = []Match{
	{},
	{InPort: 7, Metadata: 5, MetadataMask: 7},
	{InPort: 7, Metadata: 5, MetadataMask: 1<<64 - 1, SrcMAC: flows.MAC{2, 1}, DstMAC: flows.MAC{2, 2}},
	{EthType: IPv4, IPProto: flows.TCP, Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("10.0.0.2"), Ports: true, SrcPort: 1,
		DstPort: 2, TCPFlagsMask: 7, NotFragment: true},
	{EthType: IPv6, IPProto: flows.UDP, Src: netip.MustParseAddr("fd00::1"), Dst: netip.MustParseAddr("fd00::2"), Ports: true, SrcPort: 3, DstPort: 4, NotFragment: true},
	{EthType: IPv6, IPProto: flows.TCP, TCPFlags: 2, TCPFlagsMask: 0xfff},
	{EthType: IPv4, IPProto: flows.SCTP, Ports: true, DstPort: 9},
	{EthType: IPv4, IPProto: flows.ESP, NotFragment: true},
	{VLANMask: VLANAll, EthType: IPv4},
	{MatchTunnelID: true, TunnelID: 1 << 40, TunnelSrc: netip.MustParseAddr("192.0.2.1"), TunnelDst: netip.MustParseAddr("192.0.2.2")},
	{MatchTunnelID: true, TunnelSrc: netip.MustParseAddr("2001:db8::1"), TunnelDst: netip.MustParseAddr("2001:db8::2"), EthType: IPv6},
	{VLAN: VLANPresent, VLANMask: VLANPresent, EthType: IPv6, MatchTTL: true, TTL: 3},
	{VLAN: VLANPresent | 7, VLANMask: VLANAll, Priority: 5, MatchPriority: true, EthType: IPv4, IPProto: flows.UDP},
	{VLAN: VLANPresent, VLANMask: VLANAll, MatchPriority: true, EthType: IPv4, MatchTTL: true},
}

// changes has every action but Output and Note, behind the match that they require.
var changes = []FlowMod{
	{Match: Match{VLANMask: VLANAll, EthType: IPv4, IPProto: flows.TCP}, Actions: []Action{
		set(EthSrc, 2, 0, 0, 0, 0, 1), set(EthDst, 2, 0, 0, 0, 0, 2), set(IPv4Src, 10, 0, 0, 1), set(IPv4Dst, 10, 0, 0, 2),
		set(TCPSrc, 1, 2), set(TCPDst, 3, 4), {Kind: DecTTL}, {Kind: DecTTL},
		{Kind: PushVLAN, EthType: 0x8100}, set(VLANID, 0x10, 7), set(VLANPriority, 5)}},
	{Match: Match{VLAN: VLANPresent, VLANMask: VLANPresent, EthType: IPv6, IPProto: flows.UDP}, Actions: []Action{
		{Kind: PopVLAN}, set(IPv6Src, make([]byte, 16)...), set(IPv6Dst, make([]byte, 16)...), set(UDPSrc, 1, 2), set(UDPDst, 3, 4)}},
	{Match: Match{EthType: IPv4, IPProto: flows.SCTP}, Actions: []Action{set(SCTPSrc, 1, 2), set(SCTPDst, 3, 4)}},
	{Actions: []Action{set(TunnelID, 0, 0, 0, 0, 0, 0, 0, 7), set(TunnelIPv4Src, 192, 0, 2, 1), set(TunnelIPv4Dst, 192, 0, 2, 2),
		set(TunnelIPv6Src, make([]byte, 16)...), set(TunnelIPv6Dst, make([]byte, 16)...)}},
	{Actions: []Action{{Kind: SetMetadata, Bit: 63}, {Kind: Resubmit}, {Kind: SetMetadata}, {Kind: Resubmit, Table: 9}}},
	{Match: Match{InPort: 3, EthType: IPv4}, Actions: []Action{{Kind: Track, Zone: 65535, Commit: true}, {Kind: Output, Port: 4}}},
	{Match: Match{InPort: 4, EthType: IPv6}, Actions: []Action{{Kind: Track, Zone: 7}}},
	{Match: Match{InPort: 4, SrcMAC: flows.MAC{2, 9}}, Actions: []Action{{Kind: Punt, Receiver: 0xf105}}},
}

func set(f Field, value ...byte) Action { return Action{Kind: SetField, Field: f, Value: value} }

// TestActionsComeBack: what is written is read as it was written.
func TestActionsComeBack(t *testing.T) {
	b := newBridge(t)
	c := b.client()
	var mods []FlowMod
	for i, m := range changes {
		m.Priority = uint16(i)
		mods = append(mods, m)
	}
	if err := c.Bundle(t.Context(), mods); err != nil {
		t.Fatal(err)
	}
	list := b.read(c, Filter{})
	if len(list) != len(mods) {
		t.Errorf("%d flows, want %d", len(list), len(mods))
	}
	for _, f := range list {
		want := mods[f.Priority]
		if f.Match != want.Match || f.Partial || f.ReadsMetadata || !slices.EqualFunc(f.Actions, want.Actions, Action.Equal) {
			t.Errorf("\n got %+v\nwant %+v", f, want)
		}
	}
}

// TestReadsMetadata finds the flows by whose actions something can depend on the metadata.
func TestReadsMetadata(t *testing.T) {
	b := newBridge(t)
	c := b.client()
	for actions, reads := range map[string]bool{
		"set_field:5->metadata,resubmit(,1)":                        false,
		"load:1->OXM_OF_METADATA[63],resubmit(,1)":                  false,
		"note:80.00.04.08.00.00":                                    false,
		"move:OXM_OF_METADATA[0..31]->NXM_NX_REG0[]":                true,
		"push:OXM_OF_METADATA[]":                                    true,
		"output:OXM_OF_METADATA[0..15]":                             true,
		"learn(table=3,OXM_OF_METADATA[],output:OXM_OF_IN_PORT[])":  true,
		"clone(move:OXM_OF_METADATA[0..31]->NXM_NX_REG0[])":         true,
		"write_actions(move:OXM_OF_METADATA[0..31]->NXM_NX_REG0[])": true,
		"write_metadata:7,goto_table:1":                             false,
	} {
		b.ofctl("-O", "OpenFlow14", "del-flows", "br0")
		b.ofctl("-O", "OpenFlow14", "add-flow", "br0", "priority=7,actions="+actions)
		if list := b.read(c, Filter{}); len(list) != 1 || list[0].ReadsMetadata != reads {
			t.Errorf("%s: %+v", actions, list)
		}
	}
}

// TestFlowsComeBack: what is written is read as it was written.
func TestFlowsComeBack(t *testing.T) {
	b := newBridge(t)
	c := b.client()
	var mods []FlowMod
	for i, m := range matches {
		mods = append(mods, FlowMod{Priority: uint16(1 + i), Cookie: uint64(i) << 40, Hard: 100, Idle: 50, Match: m,
			Actions: []Action{{Kind: Note, Note: []byte("flowshunt14ch.")}, {Kind: Output, Port: uint32(1 + i)}}})
	}
	for name, write := range map[string]func() error{
		"bundle": func() error { return c.Bundle(t.Context(), mods) },
		"change": func() error { return c.Change(t.Context(), mods, make([]error, len(mods))) },
	} {
		if err := write(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		list := b.read(c, Filter{})
		if len(list) != len(mods) {
			t.Errorf("%s: %d flows, want %d", name, len(list), len(mods))
		}
		for _, f := range list {
			want := mods[f.Priority-1]
			if f.Match != want.Match || f.Cookie != want.Cookie || f.Hard != 100 || f.Idle != 50 || f.Partial ||
				len(f.Actions) != 2 || string(f.Actions[0].Note) != "flowshunt14ch." || f.Actions[1].Kind != Output || f.Actions[1].Port != uint32(f.Priority) {
				t.Errorf("%s:\n got %+v\nwant %+v", name, f, want)
			}
		}
		if err := c.Change(t.Context(), []FlowMod{{Command: DeleteFlow, Table: AllTables}}, make([]error, 1)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestErrorsFindTheirChange: of many changes those are refused that are wrong; in a
// bundle none is made, and the first wrong one is named.
func TestErrorsFindTheirChange(t *testing.T) {
	b := newBridge(t)
	c := b.client()
	mods := make([]FlowMod, 9)
	for i := range mods {
		mods[i] = FlowMod{Priority: uint16(i), Actions: []Action{{Kind: Output, Port: 1}}}
	}
	mods[4].Table = 254 // OVS's own
	mods[6].Actions[0].Port = 0xfffffe00
	err := c.Bundle(t.Context(), mods)
	var failed *BundleError
	if !errors.As(err, &failed) || failed.Index != 4 {
		t.Errorf("got %v, want a *BundleError of change 4", err)
	}
	if n := len(b.read(c, Filter{})); n != 0 {
		t.Errorf("%d flows of a bundle that failed", n)
	}
	errs := make([]error, len(mods))
	if err := c.Change(t.Context(), mods, errs); err != nil {
		t.Fatal(err)
	}
	for i, err := range errs {
		if wrong := i == 4 || i == 6; (err != nil) != wrong {
			t.Errorf("change %d: %v", i, err)
		}
	}
	if !errors.Is(errs[6], &RequestError{Type: BadAction, Code: CodeBadOutPort}) {
		t.Errorf("got %v", errs[6])
	}
	if n := len(b.read(c, Filter{})); n != 7 {
		t.Errorf("%d flows, want the other 7", n)
	}
}

// TestFilter: the bridge picks out by cookie and by match.
func TestFilter(t *testing.T) {
	b := newBridge(t)
	c := b.client()
	b.ofctl("add-flow", "br0", "cookie=0x1005,in_port=1,ip,actions=drop")
	b.ofctl("add-flow", "br0", "cookie=0x1006,in_port=2,ip,actions=set_field:1->reg0")
	b.ofctl("-O", "OpenFlow14", "add-flow", "br0", "cookie=0x2005,in_port=1,ip,tcp,actions=goto_table:3")
	b.ofctl("add-flow", "br0", "table=3,cookie=0x1005,reg0=1,actions=drop")
	for name, tt := range map[string]struct {
		filter Filter
		want   int
	}{
		"table": {Filter{}, 3}, "all": {Filter{Table: AllTables}, 4},
		"cookie": {Filter{Table: AllTables, Cookie: 0x1000, CookieMask: 0xf000}, 3},
		"port":   {Filter{Match: Match{InPort: 1}}, 2},
		"both":   {Filter{Cookie: 0x1005, CookieMask: 1<<64 - 1, Match: Match{InPort: 1, EthType: IPv4}}, 1},
	} {
		if got := b.read(c, tt.filter); len(got) != tt.want {
			t.Errorf("%s: %d flows, want %d: %+v", name, len(got), tt.want, got)
		}
	}
	for _, f := range b.read(c, Filter{Table: AllTables}) {
		if partial := f.Cookie == 0x2005; f.Partial != partial {
			t.Errorf("instructions of %+v", f)
		}
		if partial := f.Table == 3; f.Match.Partial != partial {
			t.Errorf("match of %+v", f)
		}
	}
}

// TestMapsOptions asks a bridge that knows no option of Geneve, and then one.
func TestMapsOptions(t *testing.T) {
	b := newBridge(t)
	c := b.client()
	if maps, err := c.MapsOptions(t.Context()); maps || err != nil {
		t.Errorf("%v, %v", maps, err)
	}
	b.ofctl("add-tlv-map", "br0", "{class=0x102,type=0x80,len=4}->tun_metadata0")
	if maps, err := c.MapsOptions(t.Context()); !maps || err != nil {
		t.Errorf("with an option: %v, %v", maps, err)
	}
}

func TestPortsOfBridge(t *testing.T) {
	b := newBridge(t)
	b.Vsctl("add-port", "br0", "i1", "--", "set", "interface", "i1", "type=internal", "ofport_request=7")
	ports, err := b.client().Ports(t.Context())
	if err != nil || !slices.ContainsFunc(ports, func(p Port) bool { return p.Name == "i1" && p.Number == 7 }) {
		t.Errorf("%+v, %v", ports, err)
	}
}

// TestSend sends a packet through an action.
func TestSend(t *testing.T) {
	b := newBridge(t)
	c := b.client()
	frame := make([]byte, 60)
	copy(frame[12:], []byte{8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17}) // conntrack takes no other
	errs := make([]error, 2)
	packets := []PacketOut{
		{InPort: 0xfffffffd, Frame: frame, Actions: []Action{{Kind: Track, Zone: 5}}},
		{InPort: 0xfffffffd, Frame: frame, Actions: []Action{{Kind: Output, Port: 0xfffffe00}}},
	}
	if err := c.Send(t.Context(), packets, errs); err != nil || errs[0] != nil || errs[1] == nil {
		t.Errorf("%v, %v", err, errs)
	}
}

func TestDialRefusals(t *testing.T) {
	b := newBridge(t)
	b.protocols(OpenFlow10, OpenFlow13)
	if _, err := Dial(t.Context(), b.socket(), 0); !errors.Is(err, ErrVersion) || !strings.Contains(err.Error(), "OpenFlow14") {
		t.Errorf("got %v, want ErrVersion with advice", err)
	}
	if _, err := Dial(t.Context(), SocketPath(b.Rundir, "br9"), 0); !errors.Is(err, ErrNotRunning) {
		t.Errorf("got %v, want ErrNotRunning", err)
	}
}

// TestCancelled: a call ends with its context, and one that had ended before is not sent.
func TestCancelled(t *testing.T) {
	b := newBridge(t)
	c := b.client()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Bundle(ctx, []FlowMod{{}}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := c.Bundle(t.Context(), []FlowMod{{}}); err != nil {
		t.Errorf("after that: %v", err)
	}
}

// FuzzReplies reads what a bridge could answer to each request.
func FuzzReplies(f *testing.F) {
	body := appendMatch(make([]byte, flowStatsLen), &matches[3])
	body = append(body, 0, instructionApply, 0, 8+24, 0, 0, 0, 0)
	body = appendActions(body, []Action{{Kind: Note, Note: make([]byte, 14)}})
	binary.BigEndian.PutUint16(body, uint16(len(body)))
	for _, kind := range []uint16{multipartFlows, multipartPorts} {
		head := append(binary.BigEndian.AppendUint16(nil, kind), 0, 0, 0, 0, 0, 0)
		f.Add(appendMessage(nil, writing, 19, xidProbe+1, append(head, body...)))
		f.Add(appendMessage(nil, writing, 19, xidProbe+1, append(head, make([]byte, 72)...)))
	}
	f.Add(appendMessage(nil, writing, typeError, xidProbe+2, []byte{0, 2, 0, 4}))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, request := range []func(*Client){
			func(c *Client) { _ = c.Flows(t.Context(), Filter{}, func(*Flow) error { return nil }) },
			func(c *Client) { _, _ = c.Ports(t.Context()) },
			func(c *Client) { _, _ = c.MapsOptions(t.Context()) },
			func(c *Client) { _ = c.Change(t.Context(), make([]FlowMod, 3), make([]error, 3)) },
			func(c *Client) { _ = c.Bundle(t.Context(), make([]FlowMod, 3)) },
		} {
			r := replay{Reader: strings.NewReader(string(b))}
			request(&Client{sock: r, reader: bufio.NewReaderSize(r, maxMessage+1), timeout: time.Second})
		}
	})
}
