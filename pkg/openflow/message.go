package openflow

import (
	"bufio"
	"encoding/binary"
	"fmt"
)

// headerLen is the size of ofp_header: version, type, length, transaction id.
const headerLen = 8

// maxMessage is the longest message that a 16-bit length allows.
const maxMessage = 1<<16 - 1

// message is one OpenFlow message. Its body is valid until the next is read.
type message struct {
	version Version
	kind    uint8
	xid     uint32
	body    []byte
}

// peekMessage returns the next message without consuming it: it is size bytes
// long. An error of the reader leaves what came so far where it is, so that
// reading can go on after a deadline.
func peekMessage(r *bufio.Reader) (m message, size int, err error) {
	h, err := r.Peek(headerLen)
	if err != nil {
		return message{}, 0, err
	}
	size = int(binary.BigEndian.Uint16(h[2:]))
	if size < headerLen {
		return message{}, 0, malformed(fmt.Sprintf("message of %d bytes", size))
	}
	b, err := r.Peek(size)
	if err != nil {
		return message{}, 0, err
	}
	return message{Version(b[0]), b[1], binary.BigEndian.Uint32(b[4:]), b[headerLen:]}, size, nil
}

// appendMessage appends a message whose body fits into 64 KiB.
func appendMessage(b []byte, v Version, kind uint8, xid uint32, body []byte) []byte {
	b = append(b, byte(v), kind)
	b = binary.BigEndian.AppendUint16(b, uint16(headerLen+len(body)))
	b = binary.BigEndian.AppendUint32(b, xid)
	return append(b, body...)
}
