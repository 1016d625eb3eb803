package path

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/tap"
)

func numbered(i int) flows.Tuple {
	var src [4]byte
	binary.BigEndian.PutUint32(src[:], 10<<24|uint32(i>>8))
	return flows.Tuple{Src: netip.AddrFrom4(src), Dst: netip.AddrFrom4([4]byte{10, 255, 0, 1}),
		SrcPort: uint16(i), DstPort: 443, Proto: flows.TCP}
}

// crowd is a lab with 100,000 sightings: 50,000 connections between ports 1 and 2.
func crowd(b *testing.B) *lab {
	b.Helper()
	l := newLab(b)
	l.honest()
	for i := range 50_000 {
		l.packet(1, numbered(i), macA, macB)
		l.packet(2, numbered(i).Reverse(), macB, macA)
	}
	return l
}

func BenchmarkResolve100k(b *testing.B) {
	l := crowd(b)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		tuple := numbered(i % 50_000)
		i++
		req := Request{Key: flows.EntryKey{Zone: 5, Tuple: tuple}, Reply: tuple.Reverse()}
		if _, err := l.r.Resolve(b.Context(), req, now); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSighted(b *testing.B) {
	for _, name := range []string{"known", "new"} {
		b.Run(name, func(b *testing.B) {
			l := crowd(b)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				s := tap.Sighting{Port: 1, Tuple: numbered(i % 50_000), Frame: between(macA, macB), At: now}
				if name == "new" {
					s.Tuple = numbered(i + 1<<20)
				}
				l.r.Sighted(s)
				i++
			}
		})
	}
}
