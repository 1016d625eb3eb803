package tc

import (
	"fmt"
	"math/bits"
	"strings"
)

// FilterFlags are the TCA_CLS_FLAGS_* bits.
type FilterFlags uint32

// The first two and Verbose are asked for, InHW and NotInHW are reported.
const (
	SkipHW  FilterFlags = 1 << iota // never give it to a driver
	SkipSW                          // a driver must take it, software does not look at it
	InHW                            // a driver has it
	NotInHW                         // no driver has it
	Verbose                         // let drivers say why they refuse, even if that is no error
)

// String lists the flags in the words of tc.
func (f FilterFlags) String() string {
	var s []string
	for i, name := range [...]string{"skip_hw", "skip_sw", "in_hw", "not_in_hw", "verbose"} {
		if f&(1<<i) != 0 {
			s = append(s, name)
		}
	}
	return strings.Join(s, " ")
}

// Filter is one classifier on one hook of one device. A filter is identified by
// Link, Parent, Chain, Pref, Protocol, Kind and Handle.
type Filter struct {
	Link     int32  // ifindex
	Parent   uint32 // Ingress or Egress
	Chain    uint32
	Pref     uint16 // 0 lets the kernel choose
	Protocol uint16 // ethertype; one for all filters of a preference
	Kind     string // "" for any, when deleting
	Handle   uint32 // 0 lets the kernel choose, or means all when deleting

	// What follows is of flower only.

	Match     Match
	Flags     FilterFlags
	Actions   []Action // reused by Decode
	InHWCount uint32   // decoded only
	Partial   bool     // decoded only: matches something that Match cannot say
}

// appendTCMsg appends the kernel's struct tcmsg.
func (f *Filter) appendTCMsg(b []byte) []byte {
	b = native.AppendUint32(b, 0) // family and padding
	b = native.AppendUint32(b, uint32(f.Link))
	b = native.AppendUint32(b, f.Handle)
	b = native.AppendUint32(b, f.Parent)
	return native.AppendUint32(b, uint32(f.Pref)<<16|uint32(bits.ReverseBytes16(f.Protocol)))
}

// appendID appends what identifies the filter, after struct tcmsg.
func (f *Filter) appendID(b []byte) []byte {
	if f.Chain != 0 {
		b = appendU32(b, attrChain, f.Chain)
	}
	if f.Kind != "" {
		b = appendString(b, attrKind, f.Kind)
	}
	return b
}

// appendRef appends what tc sends to delete or get a filter.
func (f *Filter) appendRef(b []byte) []byte {
	b = f.appendID(f.appendTCMsg(b))
	if f.Kind != KindFlower {
		return b
	}
	b, nest := openNest(b, attrOptions)
	b = f.appendEthType(appendU32(b, flowerFlags, uint32(f.Flags)))
	closeNest(b, nest)
	return b
}

// append appends the whole filter.
func (f *Filter) append(b []byte) (_ []byte, err error) {
	if f.Kind != KindFlower {
		return b, fmt.Errorf("%w: filter of kind %q", ErrInvalid, f.Kind)
	}
	if len(f.Actions) > MaxActions {
		return b, fmt.Errorf("%w: %d actions, at most %d are possible", ErrInvalid, len(f.Actions), MaxActions)
	}
	if err := f.Match.validate(f.Protocol); err != nil {
		return b, err
	}
	b = f.appendID(f.appendTCMsg(b))
	b, nest := openNest(b, attrOptions)
	b = f.Match.appendKeys(b)
	if b, err = appendActions(b, f.Actions); err != nil {
		return b, err
	}
	b = appendU32(b, flowerFlags, uint32(f.Flags))
	b = f.Match.Frag.append(b)
	b = f.appendEthType(b)
	closeNest(b, nest)
	return b, nil
}

func appendActions(b []byte, actions []Action) (_ []byte, err error) {
	if len(actions) == 0 {
		return b, nil
	}
	b, nest := openNest(b, flowerAct)
	for i := range actions {
		if b, err = actions[i].append(b, uint16(i+1)); err != nil {
			return b, err
		}
	}
	closeNest(b, nest)
	return b, nil
}

func (f *Filter) appendEthType(b []byte) []byte {
	if f.Protocol == ProtocolAll {
		return b
	}
	return appendBE16(b, flowerEthType, f.Protocol)
}

// decode reads a message's payload that begins at offset base of the message.
// It overwrites all of f but reuses the memory of Actions.
func (f *Filter) decode(b []byte, base int) error {
	if len(b) < tcmsgLen {
		return &DecodeError{base, "struct tcmsg"}
	}
	info := native.Uint32(b[16:])
	*f = Filter{
		Link:     int32(native.Uint32(b[4:])),
		Handle:   native.Uint32(b[8:]),
		Parent:   native.Uint32(b[12:]),
		Pref:     uint16(info >> 16),
		Protocol: bits.ReverseBytes16(uint16(info)),
		Actions:  f.Actions[:0],
	}
	var err error
	var options attrs
	a := attrs{b: b[tcmsgLen:], base: base + tcmsgLen, err: &err}
	for a.next() {
		switch a.typ {
		case attrKind:
			f.Kind = a.kind()
		case attrChain:
			f.Chain = a.u32()
		case attrOptions:
			options = a.nest()
		}
	}
	switch {
	case f.Kind != KindFlower:
		f.Partial = true
	case options.err != nil:
		f.decodeFlower(options)
	}
	return err
}

func (f *Filter) decodeFlower(a attrs) {
	ethType := f.Protocol
	for a.next() {
		switch a.typ {
		case flowerAct:
			f.decodeActions(a.nest())
		case flowerFlags:
			f.Flags = FilterFlags(a.u32())
		case flowerInHWCount:
			f.InHWCount = a.u32()
		case flowerEthType:
			ethType = a.be16()
		default:
			if !f.Match.decode(&a) {
				f.Partial = true
			}
		}
	}
	// Of a tagged packet the kernel tells the type behind the tags.
	if ethType != f.Protocol && ethType != f.Match.network(f.Protocol) {
		f.Partial = true
	}
}

// decodeActions appends the actions in the order in which they stand. Kernel
// filters have at most MaxActions; more are ignored and marked.
func (f *Filter) decodeActions(a attrs) {
	for a.next() {
		if len(f.Actions) == MaxActions {
			f.Partial = true
			return
		}
		f.Actions = append(f.Actions, Action{})
		f.Actions[len(f.Actions)-1].decode(a.nest())
	}
}
