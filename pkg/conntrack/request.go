package conntrack

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/flows"
)

// request builds netlink messages one behind the other, to be sent at once.
// Its memory is reused.
type request struct {
	b []byte
}

func (r *request) reset() { r.b = r.b[:0] }

// begin starts a message; end fills in its length.
func (r *request) begin(typ, flags uint16, seq uint32, family Family) (start int) {
	start = len(r.b)
	r.b = append(r.b, 0, 0, 0, 0)
	r.b = binary.NativeEndian.AppendUint16(r.b, typ)
	r.b = binary.NativeEndian.AppendUint16(r.b, flags|unix.NLM_F_REQUEST)
	r.b = binary.NativeEndian.AppendUint32(r.b, seq)
	r.b = binary.NativeEndian.AppendUint32(r.b, 0)           // port: the kernel knows
	r.b = append(r.b, byte(family), unix.NFNETLINK_V0, 0, 0) // struct nfgenmsg
	return start
}

func (r *request) end(start int) {
	binary.NativeEndian.PutUint32(r.b[start:], uint32(len(r.b)-start))
}

// nest starts an attribute that holds others; unnest fills in its length.
func (r *request) nest(typ uint16) (start int) {
	start = len(r.b)
	r.b = append(r.b, 0, 0)
	r.b = binary.NativeEndian.AppendUint16(r.b, typ|attrNested)
	return start
}

func (r *request) unnest(start int) {
	binary.NativeEndian.PutUint16(r.b[start:], uint16(len(r.b)-start))
}

func (r *request) bytes(typ uint16, value []byte) {
	r.b = binary.NativeEndian.AppendUint16(r.b, uint16(attrHeader+len(value)))
	r.b = binary.NativeEndian.AppendUint16(r.b, typ)
	r.b = append(r.b, value...)
	for len(r.b)%4 != 0 {
		r.b = append(r.b, 0)
	}
}

func (r *request) uint8(typ uint16, v uint8) { r.bytes(typ, []byte{v}) }

func (r *request) uint16(typ uint16, v uint16) {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	r.bytes(typ, b[:])
}

func (r *request) uint32(typ uint16, v uint32) {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], v)
	r.bytes(typ, b[:])
}

// key names one entry. The kernel looks up by tuple and zone alone in reads and
// updates (measured on 6.18); a deletion compares the id too.
func (r *request) key(k *flows.EntryKey) {
	r.tuple(ctaTupleOrig, k.Tuple)
	if k.Zone != 0 {
		r.uint16(ctaZone, uint16(k.Zone))
	}
	if k.ID != 0 {
		r.uint32(ctaID, k.ID)
	}
}
