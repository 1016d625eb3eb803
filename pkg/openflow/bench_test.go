package openflow

import (
	"encoding/binary"
	"net"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// writer is a connection that adds flows to table 0, in OpenFlow 1.0.
type writer struct{ net.Conn }

func newWriter(t testing.TB, b *bridge) writer {
	t.Helper()
	conn, err := net.Dial("unix", b.socket())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := conn.Write(appendMessage(nil, OpenFlow10, typeHello, 1, nil)); err != nil {
		t.Fatal(err)
	}
	return writer{conn}
}

// add adds a flow that matches everything and drops it.
func (w writer) add(t testing.TB, priority uint16, cookie uint64) {
	t.Helper()
	b := binary.BigEndian.AppendUint32(nil, 0x3fffff) // all wildcards
	b = append(b, make([]byte, 36)...)
	b = binary.BigEndian.AppendUint64(b, cookie)
	b = append(b, 0, 0, 0, 0, 0, 0) // ADD, no timeouts
	b = binary.BigEndian.AppendUint16(b, priority)
	b = append(b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0) // no buffer, no port, no flags
	if _, err := w.Write(appendMessage(nil, OpenFlow10, 14, 9, b)); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkThousandPerSecond adds a flow each millisecond, and reports the CPU
// time of this process for it, the adding included, and how late it is told.
func BenchmarkThousandPerSecond(b *testing.B) {
	ovs := newBridge(b)
	r, _ := start(b, Config{Socket: ovs.socket()})
	r.watching(b)
	w := newWriter(b, ovs)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	var late []time.Duration
	before := cpu(b)
	b.ResetTimer()
	for i := range b.N {
		<-tick.C
		sent := time.Now()
		w.add(b, uint16(i), uint64(i))
		c := r.next(b)
		if c.change == nil || c.change.Cookie != uint64(i) {
			b.Fatalf("change %d: %+v", i, c)
		}
		late = append(late, c.at.Sub(sent))
	}
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-µs/change")
	reportLate(b, late)
}

// BenchmarkAfterOfctl measures from ovs-ofctl's return to the handler's call: a
// negative time is a call before the return.
func BenchmarkAfterOfctl(b *testing.B) {
	ovs := newBridge(b)
	r, _ := start(b, Config{Socket: ovs.socket()})
	r.watching(b)
	var late []time.Duration
	b.ResetTimer()
	for i := range b.N {
		ovs.ofctl("add-flow", "br0", "table=1,priority="+strconv.Itoa(i%65535)+",ip,actions=output:"+strconv.Itoa(1+i/65535))
		returned := time.Now()
		late = append(late, r.next(b).at.Sub(returned))
	}
	reportLate(b, late)
}

func reportLate(b *testing.B, late []time.Duration) {
	slices.Sort(late)
	us := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }
	b.ReportMetric(us(late[len(late)/2]), "µs-median")
	b.ReportMetric(us(late[len(late)-1]), "µs-max")
}

func cpu(b *testing.B) time.Duration {
	b.Helper()
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkUpdates reads captured messages: decoding alone.
func BenchmarkUpdates(b *testing.B) {
	for _, v := range []Version{OpenFlow10, OpenFlow13, OpenFlow15} {
		b.Run(v.String(), func(b *testing.B) {
			var stream []byte
			for range 100 {
				for _, m := range captures(b)[v] {
					stream = append(stream, m...)
				}
			}
			n := 100 * len(captures(b)[v])
			b.ReportAllocs()
			for b.Loop() {
				if _, err := said(v, stream); err == nil {
					b.Fatal("no end")
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}
