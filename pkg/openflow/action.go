package openflow

import "encoding/binary"

// ActionKind says what an Action does.
type ActionKind uint8

// The actions that this package knows.
const (
	OtherAction ActionKind = iota // read, but not understood
	Output
	Note  // does nothing, and keeps bytes: Nicira's
	Track // ct(zone=Zone), without commit and recirculation: Nicira's
)

// Action is one action of a flow or of a packet sent through a bridge.
type Action struct {
	Kind ActionKind
	Port uint32 // of Output
	Zone uint16 // of Track
	Note []byte // of Note; padded with zeros to 6 plus a multiple of 8 bytes
}

const (
	actionOutput       = 0
	actionExperimenter = 0xffff
	niciraNote         = 8
	niciraConntrack    = 35

	noRecirculation = 0xff
)

func appendActions(b []byte, actions []Action) []byte {
	for i := range actions {
		switch a := &actions[i]; a.Kind {
		case Output:
			b = append(b, 0, actionOutput, 0, 16)
			b = binary.BigEndian.AppendUint32(b, a.Port)
			b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
		case Note:
			size := (10 + max(len(a.Note), 1) + 7) &^ 7
			b = appendNicira(b, size, niciraNote)
			b = append(b, a.Note...)
			b = append(b, make([]byte, size-10-len(a.Note))...)
		case Track:
			b = appendNicira(b, 24, niciraConntrack)
			b = append(b, 0, 0, 0, 0, 0, 0) // flags; the zone is no field's
			b = binary.BigEndian.AppendUint16(b, a.Zone)
			b = append(b, noRecirculation, 0, 0, 0, 0, 0)
		}
	}
	return b
}

func appendNicira(b []byte, size int, subtype uint16) []byte {
	b = binary.BigEndian.AppendUint16(b, actionExperimenter)
	b = binary.BigEndian.AppendUint16(b, uint16(size))
	b = binary.BigEndian.AppendUint32(b, vendorNicira)
	return binary.BigEndian.AppendUint16(b, subtype)
}

// parseActions appends the actions that b consists of. Notes alias b.
func parseActions(into []Action, b []byte) ([]Action, error) {
	for len(b) > 0 {
		if len(b) < 8 {
			return into, malformed("action")
		}
		size := int(binary.BigEndian.Uint16(b[2:]))
		if size < 8 || size > len(b) {
			return into, malformed("length of an action")
		}
		into = append(into, parseAction(b[:size]))
		b = b[size:]
	}
	return into, nil
}

func parseAction(b []byte) Action {
	switch kind := binary.BigEndian.Uint16(b); {
	case kind == actionOutput && len(b) == 16:
		return Action{Kind: Output, Port: binary.BigEndian.Uint32(b[4:])}
	case kind != actionExperimenter || len(b) < 10 || binary.BigEndian.Uint32(b[4:]) != vendorNicira:
	case binary.BigEndian.Uint16(b[8:]) == niciraNote:
		return Action{Kind: Note, Note: b[10:]}
	}
	return Action{}
}
