package tc

import (
	"math/bits"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// maxOwn bounds the port ids that a filter compares: the conditional jumps of classic
// BPF reach 255 instructions.
const maxOwn = 200

// deletionsOnly returns a socket filter (classic BPF on the netlink message) that
// lets deletions through and nothing else, and of these none that one of the port ids
// in own has asked for. The kernel runs it before it clones a message for the
// listener: what is dropped costs nothing, neither a wake-up nor room in the buffer.
func deletionsOnly(own []uint32) ([]bpf.RawInstruction, error) {
	// BPF loads in network order what the header has in the host's.
	typ := func(t uint16) uint32 { return uint32(toBig16(t)) }
	n := uint8(len(own))
	program := []bpf.Instruction{
		bpf.LoadAbsolute{Off: 4, Size: 2}, // nlmsg_type
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: typ(unix.RTM_DELTFILTER), SkipTrue: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: typ(unix.RTM_DELQDISC), SkipTrue: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: typ(unix.RTM_DELCHAIN), SkipFalse: n + 2},
		bpf.LoadAbsolute{Off: 12, Size: 4}, // nlmsg_pid
	}
	for i, port := range own {
		program = append(program, bpf.JumpIf{Cond: bpf.JumpEqual, Val: toBig32(port), SkipTrue: n - uint8(i)})
	}
	return bpf.Assemble(append(program, bpf.RetConstant{Val: 1<<32 - 1}, bpf.RetConstant{Val: 0}))
}

func toBig16(v uint16) uint16 {
	if littleEndian {
		return bits.ReverseBytes16(v)
	}
	return v
}

func toBig32(v uint32) uint32 {
	if littleEndian {
		return bits.ReverseBytes32(v)
	}
	return v
}

var littleEndian = native.Uint16([]byte{1, 0}) == 1
