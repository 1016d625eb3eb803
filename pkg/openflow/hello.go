package openflow

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"strings"
)

const helloVersionBitmap = 1 // of ofp_hello_elem_type

// appendHello appends a HELLO that offers the versions of a bitmap.
func appendHello(b []byte, xid, offer uint32) []byte {
	body := []byte{0, helloVersionBitmap, 0, 8}
	body = binary.BigEndian.AppendUint32(body, offer)
	return appendMessage(b, OpenFlow15, typeHello, xid, body)
}

// negotiate returns the version that a bridge's HELLO and our offer lead to: the
// highest of both. Without a bitmap a HELLO offers all up to its own
// (OpenFlow 1.3.1, section 6.3.1).
func negotiate(hello message, offer uint32) (Version, error) {
	offered := uint32(1)<<(min(hello.version, 31)+1) - 2
	for b := hello.body; len(b) >= 4; {
		kind, size := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if size < 4 || size > len(b) {
			return 0, malformed("element of a hello")
		}
		if kind == helloVersionBitmap && size >= 8 {
			offered = binary.BigEndian.Uint32(b[4:])
			break
		}
		b = b[min((size+7)&^7, len(b)):]
	}
	common := offered & offer
	if common == 0 {
		return 0, fmt.Errorf("%w: bridge has %s: %s", ErrVersion, versions(offered), adviceVersion)
	}
	return Version(31 - bits.LeadingZeros32(common)), nil
}

// versions lists the versions of a bitmap.
func versions(bitmap uint32) string {
	var names []string
	for v := range Version(32) {
		if bitmap&(1<<v) != 0 {
			names = append(names, v.String())
		}
	}
	if names == nil {
		return "none"
	}
	return strings.Join(names, ", ")
}
