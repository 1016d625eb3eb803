package tctest

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// WithTag returns a copy of a frame that a packet socket received, with the outer VLAN tag
// where it was: the kernel hands that over beside the frame, as PACKET_AUXDATA.
func WithTag(frame, oob []byte) []byte {
	b := append([]byte(nil), frame[:12]...)
	if tag, ok := tagOf(oob); ok {
		b = binary.BigEndian.AppendUint32(b, tag)
	}
	return append(b, frame[12:]...)
}

func tagOf(oob []byte) (tag uint32, ok bool) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return 0, false
	}
	for _, m := range messages {
		if m.Header.Type != unix.PACKET_AUXDATA || len(m.Data) < int(unsafe.Sizeof(unix.TpacketAuxdata{})) {
			continue
		}
		aux := (*unix.TpacketAuxdata)(unsafe.Pointer(&m.Data[0]))
		return uint32(aux.Vlan_tpid)<<16 | uint32(aux.Vlan_tci), aux.Status&unix.TP_STATUS_VLAN_VALID != 0
	}
	return 0, false
}
