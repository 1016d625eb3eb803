package tap

import (
	"fmt"
	"math"

	"golang.org/x/net/bpf"

	"github.com/flowshunt/flowshunt/flows"
)

// SnapLen is how much of a packet a tap reads: Ethernet, a VLAN tag, IP with
// options or a few extension headers, and the first bytes of TCP; all that once more
// inside of a tunnel.
const SnapLen = 192

const packetOutgoing = 4 // PACKET_OUTGOING, include/uapi/linux/if_packet.h

const (
	accept = "accept"
	drop   = "drop"
)

// Filter returns the classic BPF program of a tap. It lets through received
// packets (not those the host sends) that are IPv4 and no fragment, or IPv6,
// with at most one VLAN tag in the frame, and among these: TCP with FIN, SYN or
// RST set, and one of sample packets at random of any protocol. Sample 0 turns
// sampling off, 1 means every packet. With inside, the same flags of a packet in VXLAN
// or Geneve let it through. TCP behind IPv6 extension headers is found by sampling only,
// and so is what is in a tunnel over IPv6 or over IPv4 with options, or has a tag there.
func Filter(sample uint32, inside bool) ([]bpf.RawInstruction, error) {
	var a assembler
	a.add(bpf.LoadExtension{Num: bpf.ExtType})
	a.jump(bpf.JumpEqual, packetOutgoing, drop, "")
	a.add(bpf.LoadAbsolute{Off: 12, Size: 2})
	a.jump(bpf.JumpEqual, uint32(flows.TagCustomer), "tagged", "")
	a.jump(bpf.JumpEqual, uint32(flows.TagProvider), "tagged", "untagged")
	for _, layout := range []struct {
		name string
		ip   uint32 // offset of the IP header
	}{{"untagged", etherLen}, {"tagged", etherLen + vlanLen}} {
		a.label(layout.name)
		ipFilter(&a, layout.name, layout.ip, sample, inside)
	}
	a.label(accept)
	a.add(bpf.RetConstant{Val: SnapLen})
	a.label(drop)
	a.add(bpf.RetConstant{Val: 0})
	program, err := a.assemble()
	if err != nil {
		return nil, err
	}
	return bpf.Assemble(program)
}

// ipFilter judges the packet whose IP header is at offset ip.
func ipFilter(a *assembler, name string, ip, sample uint32, inside bool) {
	ipv4, ipv6 := name+"-ipv4", name+"-ipv6"
	a.add(bpf.LoadAbsolute{Off: ip - 2, Size: 2})
	a.jump(bpf.JumpEqual, etherIPv4, ipv4, "")
	a.jump(bpf.JumpEqual, etherIPv6, ipv6, drop)

	a.label(ipv4)
	a.add(bpf.LoadAbsolute{Off: ip + 6, Size: 2})
	a.jump(bpf.JumpBitsSet, ipv4Fragment, drop, "")
	sampleFilter(a, sample)
	a.add(bpf.LoadAbsolute{Off: ip + 9, Size: 1})
	if inside {
		a.jump(bpf.JumpEqual, uint32(flows.UDP), name+"-udp", "")
	}
	a.jump(bpf.JumpEqual, uint32(flows.TCP), "", drop)
	a.add(bpf.LoadMemShift{Off: ip})
	a.add(bpf.LoadIndirect{Off: ip + tcpFlagsAt, Size: 1})
	a.jump(bpf.JumpBitsSet, FIN|SYN|RST, accept, drop)

	a.label(ipv6)
	sampleFilter(a, sample)
	a.add(bpf.LoadAbsolute{Off: ip + 6, Size: 1})
	a.jump(bpf.JumpEqual, uint32(flows.TCP), "", drop)
	a.add(bpf.LoadAbsolute{Off: ip + ipv6Len + tcpFlagsAt, Size: 1})
	a.jump(bpf.JumpBitsSet, FIN|SYN|RST, accept, drop)

	if inside {
		a.label(name + "-udp")
		insideFilter(a, name, ip)
	}
}

// insideFilter judges what is in the tunnel whose outer header, IPv4 and UDP, is at
// offset ip. X is the length of Geneve's options, and behind them of the header of IPv4.
func insideFilter(a *assembler, name string, ip uint32) {
	udp := ip + ipv4MinLen
	overlay := udp + udpLen
	inner := overlay + overlayLen + etherLen
	a.add(bpf.LoadAbsolute{Off: ip, Size: 1})
	a.jump(bpf.JumpEqual, 4<<4|ipv4MinLen/4, "", drop)
	a.add(bpf.LoadAbsolute{Off: udp + 2, Size: 2})
	a.jump(bpf.JumpEqual, GenevePort, name+"-geneve", "")
	a.jump(bpf.JumpEqual, VXLANPort, "", drop)
	a.add(bpf.LoadConstant{Dst: bpf.RegA, Val: 0})
	a.jump(bpf.JumpEqual, 0, name+"-inside", "") // always: VXLAN has no options

	a.label(name + "-geneve")
	a.add(bpf.LoadAbsolute{Off: overlay, Size: 1})
	timesFour(a, 0x3f)

	a.label(name + "-inside")
	a.add(bpf.TAX{})
	a.add(bpf.LoadIndirect{Off: inner - 2, Size: 2})
	a.jump(bpf.JumpEqual, etherIPv6, name+"-inside-ipv6", "")
	a.jump(bpf.JumpEqual, etherIPv4, "", drop)
	a.add(bpf.LoadIndirect{Off: inner + 6, Size: 2})
	a.jump(bpf.JumpBitsSet, ipv4Fragment, drop, "")
	a.add(bpf.LoadIndirect{Off: inner + 9, Size: 1})
	a.jump(bpf.JumpEqual, uint32(flows.TCP), "", drop)
	a.add(bpf.LoadIndirect{Off: inner, Size: 1})
	timesFour(a, 0xf)
	a.add(bpf.ALUOpX{Op: bpf.ALUOpAdd})
	a.add(bpf.TAX{})
	a.add(bpf.LoadIndirect{Off: inner + tcpFlagsAt, Size: 1})
	a.jump(bpf.JumpBitsSet, FIN|SYN|RST, accept, drop)

	a.label(name + "-inside-ipv6")
	a.add(bpf.LoadIndirect{Off: inner + 6, Size: 1})
	a.jump(bpf.JumpEqual, uint32(flows.TCP), "", drop)
	a.add(bpf.LoadIndirect{Off: inner + ipv6Len + tcpFlagsAt, Size: 1})
	a.jump(bpf.JumpBitsSet, FIN|SYN|RST, accept, drop)
}

// timesFour makes of the byte in A the length that some of its bits say in words.
func timesFour(a *assembler, bits uint32) {
	a.add(bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: bits})
	a.add(bpf.ALUOpConstant{Op: bpf.ALUOpShiftLeft, Val: 2})
}

func sampleFilter(a *assembler, sample uint32) {
	if sample == 0 {
		return
	}
	a.add(bpf.LoadExtension{Num: bpf.ExtRand})
	a.jump(bpf.JumpGreaterThan, math.MaxUint32/sample, "", accept)
}

// assembler builds a program with named jump targets; the conditional jumps of
// classic BPF count instructions and go forwards only.
type assembler struct {
	program []bpf.Instruction
	jumps   []jump
	labels  map[string]int
}

type jump struct {
	at      int
	yes, no string // "" is the next instruction
}

func (a *assembler) add(i bpf.Instruction) { a.program = append(a.program, i) }

func (a *assembler) label(name string) {
	if a.labels == nil {
		a.labels = make(map[string]int)
	}
	a.labels[name] = len(a.program)
}

func (a *assembler) jump(test bpf.JumpTest, val uint32, yes, no string) {
	a.jumps = append(a.jumps, jump{len(a.program), yes, no})
	a.add(bpf.JumpIf{Cond: test, Val: val})
}

func (a *assembler) assemble() ([]bpf.Instruction, error) {
	for _, j := range a.jumps {
		yes, err := a.distance(j.at, j.yes)
		if err != nil {
			return nil, err
		}
		no, err := a.distance(j.at, j.no)
		if err != nil {
			return nil, err
		}
		test := a.program[j.at].(bpf.JumpIf)
		test.SkipTrue, test.SkipFalse = yes, no
		a.program[j.at] = test
	}
	return a.program, nil
}

func (a *assembler) distance(from int, to string) (uint8, error) {
	if to == "" {
		return 0, nil
	}
	at, ok := a.labels[to]
	if d := at - from - 1; ok && d >= 0 && d <= math.MaxUint8 {
		return uint8(d), nil
	}
	return 0, fmt.Errorf("packet filter: instruction %d cannot jump to %q", from, to)
}
