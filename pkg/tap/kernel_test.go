package tap

import (
	"errors"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/flows"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wire is a veth pair in a network namespace of its own: what is sent on the
// far end is received by the port.
type wire struct {
	t        *testing.T
	port     int32
	far      int // packet socket on the far end
	farIndex int
}

func newWire(t *testing.T) *wire {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("missing: root, for a network namespace")
	}
	runtime.LockOSThread() // never unlocked: the thread ends with its namespace
	ns, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	w := &wire{t: t}
	w.add()
	return w
}

func (w *wire) add() {
	w.t.Helper()
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "port"}, PeerName: "far"}
	if err := netlink.LinkAdd(pair); err != nil {
		w.t.Fatal(err)
	}
	far := w.link("far")
	for _, l := range []netlink.Link{w.link("port"), far} {
		if err := netlink.LinkSetUp(l); err != nil {
			w.t.Fatal(err)
		}
	}
	w.port, w.farIndex = int32(w.link("port").Attrs().Index), far.Attrs().Index
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { unix.Close(fd) })
	w.far = fd
}

func (w *wire) link(name string) netlink.Link {
	w.t.Helper()
	l, err := netlink.LinkByName(name)
	if err != nil {
		w.t.Fatal(err)
	}
	return l
}

func (w *wire) send(frames ...frame) { w.sendOn(w.farIndex, frames...) }

func (w *wire) sendOn(ifindex int, frames ...frame) {
	w.t.Helper()
	for _, f := range frames {
		to := &unix.SockaddrLinklayer{Ifindex: ifindex}
		if err := unix.Sendto(w.far, f.build(), 0, to); err != nil {
			w.t.Fatal(err)
		}
	}
}

// watch returns taps on the port and the channel of what they see.
func watch(t *testing.T, cfg Config, ports ...Port) (*Taps, chan Sighting) {
	t.Helper()
	seen := make(chan Sighting, 1<<16)
	cfg.Now = func() flows.Instant { return 42 }
	cfg.Sighted = func(s Sighting) { seen <- s }
	taps := New(cfg)
	t.Cleanup(taps.Close)
	if err := taps.Set(ports); err != nil {
		t.Fatal(err)
	}
	return taps, seen
}

func next(t *testing.T, seen <-chan Sighting) Sighting {
	t.Helper()
	select {
	case s := <-seen:
		return s
	case <-time.After(5 * time.Second):
		t.Fatal("no sighting within 5 s")
		panic("unreachable")
	}
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !ok(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 5 s", what)
		}
	}
}

func TestTapSees(t *testing.T) {
	w := newWire(t)
	_, seen := watch(t, Config{}, Port{ID: 7, Ifindex: w.port})
	data4 := frame{tuple: tuple(t, tcp4), tcpFlags: 0x18}
	last := frame{tuple: tuple(t, "tcp,10.9.9.9:9,10.9.9.8:8"), tcpFlags: RST}
	wanted := []frame{
		{tuple: tuple(t, tcp4), tcpFlags: SYN},
		{tuple: tuple(t, tcp6), tcpFlags: FIN | 0x10},
		{tuple: tuple(t, tcp4), tcpFlags: FIN, tags: []uint16{0xa00a}, options: 8},
		{tuple: tuple(t, tcp6), tcpFlags: SYN, tags: []uint16{12, 13}},
		last,
	}
	w.send(data4, wanted[0], frame{tuple: tuple(t, udp4)}, wanted[1],
		frame{tuple: tuple(t, tcp4), tcpFlags: FIN, fragment: 0x2000}, wanted[2],
		frame{tuple: tuple(t, tcp6), tcpFlags: SYN, ext: []byte{44}}, wanted[3])
	w.sendOn(int(w.port), frame{tuple: tuple(t, tcp4), tcpFlags: RST}) // sent by the host, not received
	w.send(last)
	for _, f := range wanted {
		got := next(t, seen)
		want := Sighting{Port: 7, Ifindex: w.port, Frame: flows.Frame{SrcMAC: macA, DstMAC: macB},
			Length: uint16(len(f.build()) - etherLen - vlanLen*len(f.tags)), Tuple: f.tuple, TCPFlags: f.tcpFlags, DSCP: flows.DSCP(f.dscp) + 1, At: 42}
		for i, tci := range f.tags {
			want.Tags[i] = tagOf(flows.TagCustomer, tci)
		}
		if got != want {
			t.Errorf("\n got %+v\nwant %+v", got, want)
		}
	}
}

// The taps come before tc: a packet that tc takes away is seen nevertheless.
func TestTapSeesBeforeTC(t *testing.T) {
	w := newWire(t)
	_, seen := watch(t, Config{}, Port{ID: 7, Ifindex: w.port})
	lo := w.link("lo")
	if err := netlink.LinkSetUp(lo); err != nil {
		t.Fatal(err)
	}
	clsact := &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: int(w.port), Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT}}
	if err := netlink.QdiscAdd(clsact); err != nil {
		t.Fatal(err)
	}
	filter := &netlink.U32{
		FilterAttrs: netlink.FilterAttrs{LinkIndex: int(w.port), Parent: netlink.HANDLE_MIN_INGRESS,
			Priority: 1, Protocol: unix.ETH_P_IP},
		Actions: []netlink.Action{netlink.NewMirredAction(lo.Attrs().Index)},
	}
	if err := netlink.FilterAdd(filter); err != nil {
		t.Fatal(err)
	}
	w.send(frame{tuple: tuple(t, tcp4), tcpFlags: RST})
	if got := next(t, seen); got.Tuple != tuple(t, tcp4) {
		t.Errorf("saw %v", got.Tuple)
	}
	waitFor(t, "redirected packet", func() bool { return w.link("lo").Attrs().Statistics.TxPackets == 1 })
}

func TestSampling(t *testing.T) {
	const packets, one = 20_000, 20
	w := newWire(t)
	port := Port{ID: 1, Ifindex: w.port}
	taps, seen := watch(t, Config{Rate: 1 << 30, Buffer: 64 << 20}, port)
	data := frame{tuple: tuple(t, udp4)}
	marker := frame{tuple: tuple(t, tcp4), tcpFlags: FIN}

	count := func(sample uint32) int {
		port.Sample = sample
		if err := taps.Set([]Port{port}); err != nil {
			t.Fatal(err)
		}
		for range packets {
			w.send(data)
		}
		w.send(marker)
		for n := 0; ; {
			switch next(t, seen).Tuple { // the kernel sends a few of its own over IPv6
			case data.tuple:
				n++
			case marker.tuple:
				return n
			}
		}
	}
	if n := count(0); n != 0 {
		t.Errorf("sampling off: %d packets", n)
	}
	// The standard deviation is 31; 10 of them are no accident.
	if n := count(one); n < packets/one-310 || n > packets/one+310 {
		t.Errorf("1 of %d of %d packets: %d", one, packets, n)
	}
	if n := count(1); n != packets {
		t.Errorf("all of %d packets: %d, %+v", packets, n, taps.Stats())
	}
	if n := count(0); n != 0 {
		t.Errorf("sampling off again: %d packets", n)
	}
}

// Packets that wait in the socket survive a change of the filter.
func TestFilterSwitchKeepsQueue(t *testing.T) {
	w := newWire(t)
	entered, release := make(chan flows.Tuple), make(chan struct{})
	taps := New(Config{Now: func() flows.Instant { return 0 }, Sighted: func(s Sighting) {
		entered <- s.Tuple
		<-release
	}})
	t.Cleanup(taps.Close)
	set := func(sample uint32) {
		if err := taps.Set([]Port{{ID: 1, Ifindex: w.port, Sample: sample}}); err != nil {
			t.Fatal(err)
		}
	}
	set(1)
	w.send(frame{tuple: tuple(t, tcp4), tcpFlags: FIN})
	<-entered // the reader is busy, what follows waits in the socket
	w.send(frame{tuple: tuple(t, udp4)})
	set(0)
	release <- struct{}{}
	if got := <-entered; got != tuple(t, udp4) {
		t.Errorf("after the switch: %v", got)
	}
	close(release)
}

func TestOverrunsAreCounted(t *testing.T) {
	w := newWire(t)
	const packets = 5000
	taps, _ := watch(t, Config{Rate: 100, Buffer: 4096}, Port{ID: 1, Ifindex: w.port, Sample: 1})
	for range packets {
		w.send(frame{tuple: tuple(t, udp4)})
	}
	waitFor(t, "overruns", func() bool { return taps.Stats().Overruns > 0 })
	if s := taps.Stats(); s.Sightings+s.Overruns > packets {
		t.Errorf("more than was sent: %+v", s)
	}
}

func TestDownAndUp(t *testing.T) {
	w := newWire(t)
	_, seen := watch(t, Config{}, Port{ID: 1, Ifindex: w.port})
	if err := netlink.LinkSetDown(w.link("port")); err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(w.link("port")); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "carrier", func() bool { return w.link("far").Attrs().OperState == netlink.OperUp })
	w.send(frame{tuple: tuple(t, tcp4), tcpFlags: FIN})
	if got := next(t, seen); got.Tuple != tuple(t, tcp4) {
		t.Errorf("saw %v", got.Tuple)
	}
}

// A device that takes the index of a deleted one is not heard by its tap.
func TestReusedIndex(t *testing.T) {
	w := newWire(t)
	port := Port{ID: 1, Ifindex: w.port}
	taps, seen := watch(t, Config{}, port)
	if err := netlink.LinkDel(w.link("port")); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "end of the tap", func() bool { return taps.Stats().Ports == 0 })

	again := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "port", Index: int(port.Ifindex)}, PeerName: "far"}
	if err := netlink.LinkAdd(again); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"port", "far"} {
		if err := netlink.LinkSetUp(w.link(name)); err != nil {
			t.Fatal(err)
		}
	}
	w.farIndex = w.link("far").Attrs().Index
	if err := taps.Set([]Port{port}); err != nil {
		t.Fatal(err)
	}
	w.send(frame{tuple: tuple(t, tcp4), tcpFlags: FIN})
	if s := taps.Stats(); s.Ports != 0 || s.Sightings != 0 {
		t.Errorf("the old tap hears the new device: %+v", s)
	}
	if err := taps.Set([]Port{{ID: 2, Ifindex: port.Ifindex}}); err != nil {
		t.Fatal(err)
	}
	w.send(frame{tuple: tuple(t, tcp4), tcpFlags: FIN})
	if got := next(t, seen); got.Port != 2 {
		t.Errorf("saw %+v", got)
	}
}

func TestSetErrors(t *testing.T) {
	w := newWire(t)
	taps, seen := watch(t, Config{MaxPorts: 1})
	err := taps.Set([]Port{{ID: 1, Ifindex: 999}, {ID: 2, Ifindex: w.port}, {ID: 3, Ifindex: w.port}})
	var failed *Error
	if !errors.As(err, &failed) || failed.Ifindex != 999 || !errors.Is(err, unix.ENODEV) {
		t.Errorf("missing device: %v", err)
	}
	if !errors.Is(err, ErrTooManyPorts) {
		t.Errorf("third port: %v", err)
	}
	w.send(frame{tuple: tuple(t, tcp4), tcpFlags: SYN})
	if got := next(t, seen); got.Port != 2 {
		t.Errorf("the port that could be tapped: %+v", got)
	}
}

func TestNothingIsLeftOpen(t *testing.T) {
	w := newWire(t)
	count := func() int {
		files, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(files)
	}
	cfg := Config{Now: func() flows.Instant { return 0 }, Sighted: func(Sighting) {}}
	New(cfg).Close()
	before := count()
	for range 10 {
		taps := New(cfg)
		for id := range flows.PortID(20) {
			if err := taps.Set([]Port{{ID: id + 1, Ifindex: w.port}, {ID: 99, Ifindex: 999}}); !errors.Is(err, unix.ENODEV) {
				t.Fatal(err)
			}
		}
		w.send(frame{tuple: tuple(t, tcp4), tcpFlags: FIN})
		taps.Close()
	}
	if after := count(); after > before+1 { // the runtime's own poller may be new
		t.Errorf("%d files are open, %d were before", after, before)
	}
}

func BenchmarkTap(b *testing.B) {
	// What one packet costs from the socket to the callback, without the kernel.
	batch := newBatch()
	for i := range batch.frames {
		batch.headers[i].length = uint32(copy(batch.frames[i][:], frame{tuple: tuple(b, tcp4)}.build()))
	}
	var n uint64
	cfg := Config{Now: func() flows.Instant { return 0 }, Sighted: func(s Sighting) { n += uint64(s.Port) }}
	t := &tap{want: Port{ID: 1}}
	b.ReportAllocs()
	for b.Loop() {
		t.report(&cfg, batch, batchLen)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/batchLen, "ns/packet")
}
