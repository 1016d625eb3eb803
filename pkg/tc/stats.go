package tc

// Counters are packets and bytes. On the ingress hook the kernel counts bytes
// behind the Ethernet header; drivers differ.
type Counters struct{ Packets, Bytes uint64 }

// Stats are the counters of an action: everything, and the part of it that
// hardware saw.
type Stats struct{ Total, Hardware Counters }

// decode reads a nest of TCA_STATS_*. Packets are 32 bits in the basic struct;
// the kernel adds the 64-bit number after it once they do not fit.
func (s *Stats) decode(a attrs) {
	last := &s.Total
	for a.next() {
		switch a.typ {
		case statsBasic:
			last = &s.Total
			last.decode(&a)
		case statsBasicHW:
			last = &s.Hardware
			last.decode(&a)
		case statsPkt64:
			last.Packets = a.u64()
		}
	}
}

// decode reads a struct gnet_stats_basic.
func (c *Counters) decode(a *attrs) {
	v := a.bytes(12)
	c.Bytes, c.Packets = native.Uint64(v), uint64(native.Uint32(v[8:]))
}
