package openflow

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// ActionKind says what an Action does.
type ActionKind uint8

// The actions that this package knows.
const (
	OtherAction ActionKind = iota // read, but not understood
	Output
	Note        // does nothing, and keeps bytes: Nicira's
	Track       // ct(zone=Zone), with commit if Commit says so, without recirculation: Nicira's
	PushVLAN    // an empty tag outside of those that there are
	PopVLAN     // the outermost tag goes
	DecTTL      // the packet is dropped where that leaves none
	SetField    // Field becomes Value
	SetMetadata // the one bit Bit of the metadata becomes 1: Nicira's
	Resubmit    // what Table does is done, then what comes after: Nicira's
	Punt        // the whole packet goes to connections whose id is Receiver (see Receive): Nicira's
)

// Action is one action of a flow or of a packet sent through a bridge.
type Action struct {
	Kind    ActionKind
	Port    uint32 // of Output
	Zone    uint16 // of Track
	Commit  bool   // of Track: a connection that is not known yet is one from then on
	EthType uint16 // of PushVLAN
	Table   uint8  // of Resubmit
	Bit     uint8  // of SetMetadata, 0 to 63
	Field   Field  // of SetField
	Value   []byte // of SetField, as wide as the field
	Note    []byte // of Note; padded with zeros to 6 plus a multiple of 8 bytes

	Receiver uint16 // of Punt
}

// Equal reports whether two actions do the same.
func (a Action) Equal(b Action) bool {
	return a.Kind == b.Kind && a.Port == b.Port && a.Zone == b.Zone && a.Commit == b.Commit && a.EthType == b.EthType &&
		a.Table == b.Table && a.Receiver == b.Receiver && a.Bit == b.Bit && a.Field == b.Field && bytes.Equal(a.Value, b.Value) && bytes.Equal(a.Note, b.Note)
}

// Clone returns an action that shares no memory with a.
func (a Action) Clone() Action {
	a.Value, a.Note = slices.Clone(a.Value), slices.Clone(a.Note)
	return a
}

// Of ofp_action_type, and the subtypes of Nicira's (lib/ofp-actions.c).
const (
	actionOutput       = 0
	actionPushVLAN     = 17
	actionPopVLAN      = 18
	actionDecTTL       = 24
	actionSetField     = 25
	actionExperimenter = 0xffff
	niciraLoad         = 7
	niciraNote         = 8
	niciraResubmit     = 14
	niciraController   = 20
	niciraLoadMasked   = 33
	niciraConntrack    = 35

	noRecirculation = 0xff
	commitFlag      = 1      // NX_CT_F_COMMIT
	wholePacket     = 0xffff // bytes of it that are handed over: OFPCML_NO_BUFFER
	reasonAction    = 1      // OFPR_ACTION
	samePort        = 0xfff8 // OFPP_IN_PORT
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
			b = append(b, 0, bitIf(a.Commit, commitFlag), 0, 0, 0, 0) // flags; the zone is no field's
			b = binary.BigEndian.AppendUint16(b, a.Zone)
			b = append(b, noRecirculation, 0, 0, 0, 0, 0)
		case PushVLAN:
			b = append(b, 0, actionPushVLAN, 0, 8)
			b = append(binary.BigEndian.AppendUint16(b, a.EthType), 0, 0)
		case PopVLAN:
			b = append(b, 0, actionPopVLAN, 0, 8, 0, 0, 0, 0)
		case DecTTL:
			b = append(b, 0, actionDecTTL, 0, 8, 0, 0, 0, 0)
		case SetField:
			b = appendSetField(b, a)
		case SetMetadata:
			b = appendNicira(b, 24, niciraLoad)
			b = binary.BigEndian.AppendUint16(b, uint16(a.Bit)<<6) // one bit from there on
			b = binary.BigEndian.AppendUint32(b, headerOf(oxmMetadata, 8))
			b = binary.BigEndian.AppendUint64(b, 1)
		case Resubmit:
			b = appendNicira(b, 16, niciraResubmit)
			b = binary.BigEndian.AppendUint16(b, samePort)
			b = append(b, a.Table, 0, 0, 0)
		case Punt:
			b = appendNicira(b, 16, niciraController)
			b = binary.BigEndian.AppendUint16(b, wholePacket)
			b = binary.BigEndian.AppendUint16(b, a.Receiver)
			b = append(b, reasonAction, 0)
		}
	}
	return b
}

func bitIf(on bool, bit byte) byte {
	if on {
		return bit
	}
	return 0
}

func appendNicira(b []byte, size int, subtype uint16) []byte {
	b = binary.BigEndian.AppendUint16(b, actionExperimenter)
	b = binary.BigEndian.AppendUint16(b, uint16(size))
	b = binary.BigEndian.AppendUint32(b, vendorNicira)
	return binary.BigEndian.AppendUint16(b, subtype)
}

func appendSetField(b []byte, a *Action) []byte {
	size := (4 + 4 + len(a.Value) + 7) &^ 7
	b = append(b, 0, actionSetField, byte(size>>8), byte(size))
	b = append(appendField(b, settable[a.Field].field, len(a.Value)), a.Value...)
	return append(b, make([]byte, size-8-len(a.Value))...)
}

// parseActions appends the actions that b consists of. Notes and values alias b.
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
	case kind == actionPushVLAN && len(b) == 8:
		return Action{Kind: PushVLAN, EthType: binary.BigEndian.Uint16(b[4:])}
	case kind == actionPopVLAN && len(b) == 8:
		return Action{Kind: PopVLAN}
	case kind == actionDecTTL && len(b) == 8:
		return Action{Kind: DecTTL}
	case kind == actionSetField:
		return parseSetField(b)
	case kind == actionExperimenter && len(b) >= 16 && binary.BigEndian.Uint32(b[4:]) == vendorNicira:
		return parseNicira(binary.BigEndian.Uint16(b[8:]), b)
	}
	return Action{}
}

func parseNicira(subtype uint16, b []byte) Action {
	switch {
	case subtype == niciraNote:
		return Action{Kind: Note, Note: b[10:]}
	case subtype == niciraResubmit && len(b) == 16 && binary.BigEndian.Uint16(b[10:]) == samePort:
		return Action{Kind: Resubmit, Table: b[12]}
	case subtype == niciraController && len(b) == 16 && binary.BigEndian.Uint16(b[10:]) == wholePacket && b[14] == reasonAction:
		return Action{Kind: Punt, Receiver: binary.BigEndian.Uint16(b[12:])}
	case subtype == niciraConntrack && len(b) == 24:
		return parseTrack(b)
	case subtype == niciraLoad && len(b) == 24 && binary.BigEndian.Uint32(b[12:]) == headerOf(oxmMetadata, 8) &&
		binary.BigEndian.Uint64(b[16:]) == 1:
		if bits := binary.BigEndian.Uint16(b[10:]); bits&0x3f == 0 && bits>>6 < 64 {
			return Action{Kind: SetMetadata, Bit: uint8(bits >> 6)}
		}
	}
	return Action{}
}

// parseTrack reads a ct that does nothing else, in a zone that no field says.
func parseTrack(b []byte) Action {
	flags, field, alg := binary.BigEndian.Uint16(b[10:]), binary.BigEndian.Uint32(b[12:]), binary.BigEndian.Uint16(b[22:])
	if flags&^commitFlag != 0 || field != 0 || b[18] != noRecirculation || alg != 0 {
		return Action{}
	}
	return Action{Kind: Track, Zone: binary.BigEndian.Uint16(b[16:]), Commit: flags&commitFlag != 0}
}

func parseSetField(b []byte) Action {
	header, size := binary.BigEndian.Uint32(b[4:]), int(b[7])
	if header&0x100 != 0 || 8+size > len(b) {
		return Action{}
	}
	for f, to := range settable {
		if f != 0 && to.field == field(header>>9) && to.width == size {
			return Action{Kind: SetField, Field: Field(f), Value: b[8 : 8+size]}
		}
	}
	return Action{}
}

// readsMetadata reports whether an action may make something depend on the metadata: it
// names that, and not only to write it.
func readsMetadata(b []byte) bool {
	switch kind := binary.BigEndian.Uint16(b); {
	case kind == actionSetField:
		return false
	case kind == actionExperimenter && len(b) >= 10 && binary.BigEndian.Uint32(b[4:]) == vendorNicira:
		if s := binary.BigEndian.Uint16(b[8:]); s == niciraLoad || s == niciraLoadMasked || s == niciraNote {
			return false
		}
	}
	for _, header := range [...]uint32{headerOf(oxmMetadata, 8), headerOf(oxmMetadata, 16) | 1<<8} {
		if bytes.Contains(b, binary.BigEndian.AppendUint32(nil, header)) {
			return true
		}
	}
	return false
}
