package flows

// Zone is a conntrack zone (struct nf_conntrack_zone, 16 bit). Zone 0 is the
// kernel's default zone, a valid one.
type Zone uint16

// EntryKey identifies one conntrack entry: the kernel's id, the zone, and the
// tuple of the original direction. The id (nf_ct_get_id) is a keyed hash over the
// entry's address and tuples: of entries that exist at the same time no two share
// it, but one that takes the place of another with the same tuple can.
type EntryKey struct {
	ID    uint32
	Zone  Zone
	Tuple Tuple
}

// Status is the set of IPS_* bits of an entry
// (include/uapi/linux/netfilter/nf_conntrack_common.h).
type Status uint32

// The status bits that decisions depend on.
const (
	StatusExpected  Status = 1 << 0 // child of another connection (RELATED)
	StatusSeenReply Status = 1 << 1
	StatusAssured   Status = 1 << 2
	StatusConfirmed Status = 1 << 3
	StatusSrcNAT    Status = 1 << 4
	StatusDstNAT    Status = 1 << 5
	StatusSeqAdjust Status = 1 << 6
	StatusDying     Status = 1 << 9
	StatusFixedTime Status = 1 << 10
	StatusTemplate  Status = 1 << 11
	StatusNATClash  Status = 1 << 12
	StatusHelper    Status = 1 << 13
	StatusOffload   Status = 1 << 14 // the kernel's own flowtable has it
	StatusHWOffload Status = 1 << 15
)

// Has reports whether all bits of want are set.
func (s Status) Has(want Status) bool { return s&want == want }

// TCPState is conntrack's state of a TCP connection
// (enum tcp_conntrack, include/uapi/linux/netfilter/nf_conntrack_tcp.h).
type TCPState uint8

// The states in the kernel's order.
const (
	TCPNone TCPState = iota
	TCPSynSent
	TCPSynRecv
	TCPEstablished
	TCPFinWait
	TCPCloseWait
	TCPLastAck
	TCPTimeWait
	TCPClose
	TCPSynSent2
)

var tcpStateNames = [...]string{
	"NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT",
	"CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE", "SYN_SENT2",
}

// String returns the name that conntrack(8) prints.
func (s TCPState) String() string {
	if int(s) < len(tcpStateNames) {
		return tcpStateNames[s]
	}
	return "UNKNOWN"
}

// Closing reports whether a FIN or RST was seen.
func (s TCPState) Closing() bool { return s >= TCPFinWait && s <= TCPClose }

// The per-direction TCP flags of an entry (IP_CT_TCP_FLAG_*, same header).
const (
	TCPFlagWindowScale = 0x01 // the SYN of this side carried a window scale
	TCPFlagSACKPerm    = 0x02
	TCPFlagCloseInit   = 0x04
	TCPFlagBeLiberal   = 0x08 // out-of-window packets are not marked invalid
	TCPFlagUnacked     = 0x10
	TCPFlagMaxAckSet   = 0x20 // an ACK was seen, so RSTs are checked against it
)

// TCPInfo is the TCP part of an entry. All zero for other protocols.
type TCPInfo struct {
	State       TCPState
	Flags       [2]uint8 // by Dir, TCPFlag* bits
	WindowScale [2]uint8 // by Dir
}

// Counters are packets and bytes of one direction. Bytes count from the IP
// header on when conntrack reports them.
type Counters struct {
	Packets, Bytes uint64
}

// Entry is one conntrack entry as the kernel reported it at one moment.
type Entry struct {
	Key     EntryKey
	Reply   Tuple // of packets in the reply direction, as they arrive
	Status  Status
	Mark    uint32
	Labels  [16]byte // all zero where the entry has no label extension
	Timeout uint32   // seconds until the entry expires
	TCP     TCPInfo
	Count   [2]Counters // by Dir; zero where accounting was off when it was created
	Start   uint64      // Unix nanoseconds; 0 unless nf_conntrack_timestamp is on

	HasMaster bool // a master connection exists (RELATED)
	HasHelper bool // an application-layer helper is attached
	HasCount  bool // the kernel reported counters
	HasSeqAdj bool // sequence numbers differ on the two sides
	HasSynPrx bool // a SYN proxy is in between
}

// Bytes returns the bytes of both directions.
func (e *Entry) Bytes() uint64 { return e.Count[Orig].Bytes + e.Count[Reply].Bytes }

// Packets returns the packets of both directions.
func (e *Entry) Packets() uint64 { return e.Count[Orig].Packets + e.Count[Reply].Packets }

// HasNAT reports whether the reply direction is addressed to anything but the
// sender of the original one.
func (e *Entry) HasNAT() bool { return e.Reply != e.Key.Tuple.Reverse() }
