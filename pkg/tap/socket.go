package tap

import (
	"encoding/binary"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/flows"
)

// batchLen is how many packets one system call reads.
const batchLen = 32

// Error says which operation failed on which device.
type Error struct {
	Op      string
	Ifindex int32
	Err     error
}

// Error returns the text.
func (e *Error) Error() string {
	return fmt.Sprintf("tap on network device %d: %s: %v", e.Ifindex, e.Op, e.Err)
}

// Unwrap returns the cause, in most cases a unix.Errno: EPERM means that
// CAP_NET_RAW is missing, ENODEV and ENXIO that the device is gone.
func (e *Error) Unwrap() error { return e.Err }

func protocolAll() uint16 { // htons(ETH_P_ALL)
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], unix.ETH_P_ALL)
	return binary.NativeEndian.Uint16(b[:])
}

// openSocket returns a socket that receives what the filter lets through on one
// device of the calling thread's network namespace. It is bound last, so that
// no packet gets in before the filter.
func openSocket(ifindex int32, filter []bpf.RawInstruction, buffer int) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, &Error{"open socket", ifindex, err}
	}
	steps := []struct {
		op string
		do func() error
	}{
		{"attach filter", func() error { return attachFilter(fd, filter) }},
		{"ask for VLAN tags", func() error {
			return unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1)
		}},
		{"ignore sent packets", func() error {
			// Saves the kernel a copy of each; older ones leave it to the filter.
			_ = unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1)
			return nil
		}},
		{"set buffer size", func() error { return setBuffer(fd, buffer) }},
		{"bind", func() error {
			return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: protocolAll(), Ifindex: int(ifindex)})
		}},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			unix.Close(fd)
			return nil, &Error{step.op, ifindex, err}
		}
	}
	return os.NewFile(uintptr(fd), "tap"), nil
}

func setBuffer(fd, size int) error {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, size) == nil {
		return nil
	}
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, size)
}

// attachFilter replaces the filter of a socket; packets that are queued stay.
func attachFilter(fd int, filter []bpf.RawInstruction) error {
	program := unix.SockFprog{
		Len:    uint16(len(filter)),
		Filter: (*unix.SockFilter)(unsafe.Pointer(unsafe.SliceData(filter))),
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program)
}

// deviceGone reports whether the device that a socket was bound to was deleted:
// the kernel then unbinds it for good (packet_notifier, net/packet/af_packet.c),
// so it never listens to a later device with the same index.
func deviceGone(fd int) bool {
	addr, err := unix.Getsockname(fd)
	if err != nil {
		return true
	}
	ll, ok := addr.(*unix.SockaddrLinklayer)
	return !ok || ll.Ifindex <= 0
}

// overruns returns the packets that were dropped for want of buffer space since
// the last call.
func overruns(fd int) uint64 {
	stats, err := unix.GetsockoptTpacketStats(fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0
	}
	return uint64(stats.Drops)
}

// batch is the memory for one recvmmsg(2). It must not be copied: the headers
// point into it.
type batch struct {
	headers [batchLen]mmsghdr
	vectors [batchLen]unix.Iovec
	frames  [batchLen][SnapLen]byte
	control [batchLen]auxdata
}

type mmsghdr struct { // struct mmsghdr, include/linux/socket.h
	msghdr unix.Msghdr
	length uint32
}

type auxdata struct {
	header unix.Cmsghdr
	aux    unix.TpacketAuxdata
}

func newBatch() *batch {
	b := new(batch)
	for i := range b.headers {
		b.vectors[i].Base = &b.frames[i][0]
		b.vectors[i].SetLen(SnapLen)
		h := &b.headers[i].msghdr
		h.Iov = &b.vectors[i]
		h.SetIovlen(1)
	}
	return b
}

// receive reads what is there without waiting.
func (b *batch) receive(fd uintptr) (int, error) {
	for i := range b.headers {
		h := &b.headers[i].msghdr
		h.Control = (*byte)(unsafe.Pointer(&b.control[i]))
		h.SetControllen(int(unsafe.Sizeof(b.control[i])))
		h.Flags = 0
	}
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&b.headers)), batchLen,
		unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// frame returns the i-th packet and the tag that was taken out of it.
func (b *batch) frame(i int) ([]byte, flows.Tag) {
	length := min(int(b.headers[i].length), SnapLen)
	c := &b.control[i]
	var tag flows.Tag
	if int(b.headers[i].msghdr.Controllen) >= unix.CmsgLen(int(unsafe.Sizeof(c.aux))) &&
		c.header.Level == unix.SOL_PACKET && c.header.Type == unix.PACKET_AUXDATA &&
		c.aux.Status&unix.TP_STATUS_VLAN_VALID != 0 {
		tag = tagOf(flows.TagCustomer, c.aux.Vlan_tci)
		if c.aux.Status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
			tag.Type = c.aux.Vlan_tpid
		}
	}
	return b.frames[i][:length], tag
}
