package wire

import (
	"bytes"
	"encoding/binary"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/openflow"
)

// A cookie of ours is the magic, and the first zone of the wire, which no other has.
const (
	cookieMagic = 0xf1057701
	magicMask   = 0xffffffff << 32
	wholeCookie = 1<<64 - 1
)

func cookieOf(zone flows.Zone) uint64 { return cookieMagic<<32 | uint64(zone) }

// IsOurs reports whether a flow with this cookie belongs to a wire.
func IsOurs(cookie uint64) bool { return cookie>>32 == cookieMagic }

// A note is the version, the state, both zones, and the name.
const (
	noteVersion = 1
	noteHeader  = 6
)

// mark is what a flow says of its wire, for the next keeper.
type mark struct {
	name  string
	state State
	zones [2]flows.Zone
}

// note has the length that notes have: 6 more than a multiple of 8 (openflow.Action).
func (p *plan) note() []byte {
	b := []byte{noteVersion, byte(p.state)}
	b = binary.BigEndian.AppendUint16(b, uint16(p.zones[0]))
	b = binary.BigEndian.AppendUint16(b, uint16(p.zones[1]))
	b = append(b, p.name...)
	for len(b)%8 != noteHeader {
		b = append(b, 0)
	}
	return b
}

// markOf reads a note; ok is false where that is nothing we wrote.
func markOf(f *openflow.Flow) (m mark, ok bool) {
	if !IsOurs(f.Cookie) || len(f.Actions) == 0 || f.Actions[0].Kind != openflow.Note {
		return m, false
	}
	b := f.Actions[0].Note
	if len(b) <= noteHeader || b[0] != noteVersion || b[1] > byte(Closed) {
		return m, false
	}
	m = mark{
		name: string(bytes.TrimRight(b[noteHeader:], "\x00")), state: State(b[1]),
		zones: [2]flows.Zone{flows.Zone(binary.BigEndian.Uint16(b[2:])), flows.Zone(binary.BigEndian.Uint16(b[4:]))},
	}
	return m, m.name != "" && f.Cookie == cookieOf(m.zones[0])
}
