package datapath

import (
	"golang.org/x/sys/unix"
)

// message is one netlink message.
type message struct {
	typ, flags uint16
	seq        uint32
	payload    []byte
}

// cut takes the first message off b.
func cut(b []byte) (m message, rest []byte, err error) {
	if len(b) < nlHeader {
		return m, nil, &DecodeError{"datagram ends within a message"}
	}
	n := native.Uint32(b)
	if n < nlHeader || uint64(n) > uint64(len(b)) {
		return m, nil, &DecodeError{"datagram ends within a message"}
	}
	m = message{native.Uint16(b[4:]), native.Uint16(b[6:]), native.Uint32(b[8:]), b[nlHeader:n]}
	return m, b[min(align4(int(n)), len(b)):], nil
}

// body returns the attributes of an answer of one of OVS's families, and the
// datapath that it is about.
func (m *message) body() (dp uint32, attributes []byte, err error) {
	if len(m.payload) < genlHeader+ovsHeader {
		return 0, nil, &DecodeError{"message without its header"}
	}
	return native.Uint32(m.payload[genlHeader:]), m.payload[genlHeader+ovsHeader:], nil
}

// refusal reads the status of an NLMSG_ERROR or NLMSG_DONE, nil for none.
func (m *message) refusal(op string) error {
	if len(m.payload) < 4 {
		if m.typ == unix.NLMSG_DONE {
			return nil
		}
		return &DecodeError{"error without a number"}
	}
	errno := -int32(native.Uint32(m.payload))
	if errno <= 0 {
		return nil
	}
	return &Error{Op: op, Errno: unix.Errno(errno), Message: m.words()}
}

// words returns the kernel's own words about an error (NLMSGERR_ATTR_MSG). The
// request is not repeated: NETLINK_CAP_ACK is set.
func (m *message) words() string {
	at := 4
	if m.typ == unix.NLMSG_ERROR {
		at += nlHeader
	}
	if m.flags&unix.NLM_F_ACK_TLVS == 0 || len(m.payload) < at {
		return ""
	}
	var err error
	a := attrs{b: m.payload[at:], err: &err}
	for a.next() {
		if a.typ == 1 {
			return a.text()
		}
	}
	return ""
}

// request is a whole message of a family. dp is the datapath; -1 leaves OVS's own
// header out.
func request(family, flags uint16, seq uint32, cmd, version uint8, dp int64, attributes []byte) []byte {
	b := make([]byte, 0, 64)
	b = native.AppendUint32(b, 0)
	b = native.AppendUint16(b, family)
	b = native.AppendUint16(b, unix.NLM_F_REQUEST|flags)
	b = native.AppendUint32(b, seq)
	b = append(b, 0, 0, 0, 0, cmd, version, 0, 0)
	if dp >= 0 {
		b = native.AppendUint32(b, uint32(dp))
	}
	b = append(b, attributes...)
	native.PutUint32(b, uint32(len(b)))
	return b
}
