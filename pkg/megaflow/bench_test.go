package megaflow

import (
	"net/netip"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/hack/benchtest"
)

// node is the table of a node with many megaflows, as a pipeline of three flows a
// direction makes them: by port and MACs, by state and ports behind zone 1, by
// state and addresses behind zone 2. Prefixes and ports of varying length make
// about 50 masks.
type node struct {
	flows   []Flow
	packets []Packet // of Orig and Reply by turns
	conns   []Connection
}

func newNode(n int) *node {
	d := &node{}
	for i := 0; len(d.flows) < n; i++ {
		tuple := flows.Tuple{
			Src: netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), Dst: netip.AddrFrom4([4]byte{10, 2, byte(i >> 8), byte(i)}),
			SrcPort: uint16(i), DstPort: uint16(1000 + i), Proto: flows.TCP,
		}
		macs := flows.Frame{SrcMAC: flows.MAC{2, 1, 4: byte(i >> 8), 5: byte(i)}, DstMAC: flows.MAC{2, 2, 4: byte(i >> 8), 5: byte(i)}}
		from, to := uint32(2*i+1), uint32(2*i+2)
		states := []flows.ZoneState{zone(1, tuple, flows.Orig), zone(2, tuple, flows.Orig)}
		d.add(i, NewPacket(from, macs, tuple), Connection{Tuple: tuple, States: states}, to)
		d.add(i, NewPacket(to, flows.Frame{SrcMAC: macs.DstMAC, DstMAC: macs.SrcMAC}, tuple.Reverse()), Connection{Tuple: tuple.Reverse(), States: states}, from)
	}
	return d
}

// add makes the three flows of one direction.
func (d *node) add(i int, p Packet, conn Connection, out uint32) {
	d.packets = append(d.packets, p)
	d.conns = append(d.conns, conn)
	w := walk{conn: &conn, packet: &p, tuple: conn.Tuple}
	variant := i % 16 // of the mask
	d.flow(&w, []Field{InPort, EthSrc, EthDst}, variant, CT{Zone: 1}, Recirc{1})
	d.flow(&w, []Field{InPort, CTState, CTZone, EthSrc, TPDst}, variant, CT{Zone: 2}, Recirc{2})
	d.flow(&w, []Field{InPort, CTState, CTZone, EthDst, TPSrc, TPDst}, variant, Output{out})
}

func (d *node) flow(w *walk, fields []Field, variant int, actions ...Action) {
	var m Match
	for _, f := range append(fields, RecircID, EthType, IPProto, IPFrag, VLANTCI) {
		m.SetUint(f, w.packet.Key.Uint(f), ^uint64(0))
	}
	m.SetWide(IPDst, w.packet.Key.Wide(IPDst), [16]byte{12: 255, 13: 255, 14: 0xff << (variant % 8), 15: byte(variant / 8)})
	d.flows = append(d.flows, Flow{Match: m, Actions: actions})
	if _, err := w.run(actions); err != nil {
		panic(err)
	}
}

// scan is the peer: what looking through a list of flows amounts to.
type scan []Flow

func (s scan) Lookup(p *Packet) (*Flow, error) {
next:
	for i := range s {
		m := &s[i].Match
		for j := range m.Key {
			if (m.Key[j]^p.Key[j])&m.Mask[j] != 0 {
				continue next
			}
		}
		return &s[i], nil
	}
	return nil, ErrUnknown
}

// resolve composes both directions of n connections, and returns how many
// connections a second that makes.
func resolve(t testing.TB, src Source, d *node, n int) float64 {
	began := time.Now()
	for i := range n {
		at := i * 2 * 7919 % len(d.packets) &^ 1
		for dir := range 2 {
			if _, err := Compose(src, d.packets[at+dir], d.conns[at+dir]); err != nil {
				t.Fatal(err)
			}
		}
	}
	return float64(n) / time.Since(began).Seconds()
}

// TestBenchResolve reports connections resolved a
// second with 10,000 megaflows, against a scan of the list.
func TestBenchResolve(t *testing.T) {
	benchtest.Need(t)
	d := newNode(10_000)
	var build, ours, peer []float64
	var table *Table
	for range 7 {
		began := time.Now()
		table = NewTable(d.flows)
		build = append(build, time.Since(began).Seconds())
		ours = append(ours, resolve(t, table, d, 20_000))
		peer = append(peer, resolve(t, scan(d.flows), d, 500))
	}
	t.Logf("%d flows, %d masks, built in %.1f ms", len(d.flows), masks(d.flows), 1000*benchtest.Median(build))
	benchtest.Report(t, benchtest.Rate("megaflow-resolve", "connections/s", benchtest.Median(ours), benchtest.Median(peer), "linear scan"))
}

func masks(all []Flow) int {
	seen := make(map[Key]bool)
	for i := range all {
		seen[all[i].Match.Mask] = true
	}
	return len(seen)
}

func BenchmarkCompose(b *testing.B) {
	d := newNode(10_000)
	table := NewTable(d.flows)
	for i := 0; b.Loop(); i++ {
		at := i % len(d.packets)
		if _, err := Compose(table, d.packets[at], d.conns[at]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNewTable(b *testing.B) {
	d := newNode(10_000)
	for b.Loop() {
		NewTable(d.flows)
	}
}
