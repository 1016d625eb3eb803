package conntrack

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Message types: the subsystem in the upper byte, IPCTNL_MSG_CT_* in the lower.
const (
	msgNew    = unix.NFNL_SUBSYS_CTNETLINK << 8
	msgGet    = msgNew | 1
	msgDelete = msgNew | 2
)

// An answer or event begins with struct nlmsghdr, then struct nfgenmsg.
const (
	netlinkHeader = 16
	familyHeader  = 4
	headers       = netlinkHeader + familyHeader
)

// message is one netlink message inside a receive buffer.
type message struct {
	typ, flags uint16
	seq, port  uint32
	raw        []byte // with its headers; valid until the next receive
}

// cut splits the first message off b.
func cut(b []byte) (m message, rest []byte, err error) {
	if len(b) < netlinkHeader {
		return m, nil, &DecodeError{Reason: "netlink header truncated"}
	}
	size := int(binary.NativeEndian.Uint32(b))
	if size < netlinkHeader || size > len(b) {
		return m, nil, &DecodeError{Reason: "netlink message length out of bounds"}
	}
	m.typ = binary.NativeEndian.Uint16(b[4:])
	m.flags = binary.NativeEndian.Uint16(b[6:])
	m.seq = binary.NativeEndian.Uint32(b[8:])
	m.port = binary.NativeEndian.Uint32(b[12:])
	m.raw = b[:size:size]
	return m, b[min(align(size), len(b)):], nil
}

// isEntry reports whether the message carries a conntrack entry.
func (m *message) isEntry() bool { return m.typ == msgNew || m.typ == msgDelete }

// errno returns the error of an NLMSG_ERROR, or of an NLMSG_DONE that carries
// one, and the extended acknowledgement's text. 0 is the acknowledgement.
func (m *message) errno() (unix.Errno, string, error) {
	body := m.raw[netlinkHeader:]
	if len(body) < 4 {
		if m.typ == unix.NLMSG_DONE {
			return 0, "", nil
		}
		return 0, "", &DecodeError{Offset: netlinkHeader, Reason: "error code truncated"}
	}
	code := int32(binary.NativeEndian.Uint32(body))
	if code > 0 || code < -4095 {
		code = 0 // NLMSG_DONE may carry a count
		if m.typ == unix.NLMSG_ERROR {
			return 0, "", &DecodeError{Offset: netlinkHeader, Reason: "error code out of range"}
		}
	}
	return unix.Errno(-code), m.extack(), nil
}

// extack returns the text behind an NLMSG_ERROR, "" without one. With
// NETLINK_CAP_ACK only the header of the request stands in between.
func (m *message) extack() string {
	const at = netlinkHeader + 4 + netlinkHeader
	if m.typ != unix.NLMSG_ERROR || m.flags&unix.NLM_F_ACK_TLVS == 0 ||
		m.flags&unix.NLM_F_CAPPED == 0 || len(m.raw) < at {
		return ""
	}
	a := attrs{msg: m.raw, pos: at, end: len(m.raw)}
	for a.next() {
		if a.typ == unix.NLMSGERR_ATTR_MSG {
			return unix.ByteSliceToString(a.value)
		}
	}
	return ""
}
