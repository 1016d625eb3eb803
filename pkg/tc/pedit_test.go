package tc

import (
	"bytes"
	"testing"
)

// edit is one word of a pedit as the kernel carries it out.
type edit struct {
	header, cmd        uint16
	keep, value, at    uint32
	fromPacket, atMask uint32
}

// do does to the headers of a packet what the kernel does: a word is what it was
// under keep, changed by value.
func do(edits []edit, headers *[6][44]byte) {
	for _, e := range edits {
		word := headers[e.header][e.at:]
		old, value := native.Uint32(word), e.value
		if e.cmd == cmdAdd {
			value = (old + value) &^ e.keep
		}
		native.PutUint32(word, old&e.keep^value)
	}
}

// options writes edits as the options of a pedit.
func options(edits []edit) []byte {
	b, parms := openNest(nil, peditParms)
	b = append(append(b, make([]byte, 20)...), uint8(len(edits)), 0, 0, 0)
	for _, e := range edits {
		for _, v := range []uint32{e.keep, e.value, e.at, e.fromPacket, e.atMask, 0} {
			b = native.AppendUint32(b, v)
		}
	}
	closeNest(b, parms)
	b, keys := openNest(b, peditKeys)
	for _, e := range edits {
		var key int
		b, key = openNest(b, peditKey)
		b = appendU16(appendU16(b, peditHeader, e.header), peditCmd, e.cmd)
		closeNest(b, key)
	}
	closeNest(b, keys)
	return b
}

// parse is the opposite of options.
func parse(b []byte) (edits []edit) {
	var err error
	for a := (attrs{b: b, err: &err}); a.next(); {
		switch a.typ {
		case peditParms:
			for v := a.val[peditSelLen:]; len(v) > 0; v = v[peditKeyLen:] {
				edits = append(edits, edit{keep: native.Uint32(v), value: native.Uint32(v[4:]), at: native.Uint32(v[8:])})
			}
		case peditKeys:
			i := 0
			for k := a.nest(); k.next(); i++ {
				for v := k.nest(); v.next(); {
					if v.typ == peditHeader {
						edits[i].header = v.u16()
					} else {
						edits[i].cmd = v.u16()
					}
				}
			}
		}
	}
	return edits
}

func decodeEdits(edits []edit) (a Action, err error) {
	a.Kind = KindPedit
	a.decodeOptions(attrs{b: options(edits), err: &err})
	return a, err
}

// FuzzPedit: what a list of words is understood to do is what it does.
func FuzzPedit(f *testing.F) {
	for _, name := range []string{"snat4", "snat6", "pedit-fields", "pedit-fields6"} {
		a := corpus[name].Actions[0]
		b, err := a.appendPedit(nil)
		if err != nil {
			f.Fatal(err)
		}
		var seed []byte
		for _, e := range parse(b) {
			seed = append(seed, byte(e.header), byte(e.cmd), byte(e.at/4))
			seed = native.AppendUint32(native.AppendUint32(seed, e.keep), e.value)
		}
		f.Add(seed, byte(7))
	}
	f.Fuzz(func(t *testing.T, b []byte, fill byte) {
		var edits []edit
		for ; len(b) >= 11 && len(edits) < 255; b = b[11:] {
			e := edit{header: uint16(b[0] % 6), cmd: uint16(b[1] % 2), at: uint32(b[2]%11) * 4}
			e.keep, e.value = native.Uint32(b[3:]), native.Uint32(b[7:])
			if b[1] < 0x80 {
				e.value &^= e.keep // else it flips bits
			}
			edits = append(edits, e)
		}
		a, err := decodeEdits(edits)
		if err != nil || a.Partial {
			return
		}
		ours, err := a.appendPedit(nil)
		if err != nil {
			t.Fatalf("%+v cannot be encoded: %v", a.Rewrite, err)
		}
		var packet, want, got [6][44]byte
		for i := range packet {
			copy(packet[i][:], bytes.Repeat([]byte{fill, fill * 3, fill + byte(i)}, 15))
		}
		want, got = packet, packet
		do(edits, &want)
		do(parse(ours), &got)
		if got != want {
			t.Fatalf("%+v understood as %+v\ngot  % x\nwant % x", edits, a.Rewrite, got, want)
		}
	})
}

// TestPeditPartial: what a Rewrite cannot say is marked, and nothing is said.
func TestPeditPartial(t *testing.T) {
	first := native.Uint32([]byte{0xff, 0, 0, 0})
	ttl := edit{header: headerIP4, cmd: cmdAdd, keep: ^first, value: first, at: 8}
	change := func(do func(*edit)) []edit {
		e := ttl
		do(&e)
		return []edit{e}
	}
	if a, err := decodeEdits([]edit{ttl}); err != nil || a.Partial || a.Rewrite != (Rewrite{Protocol: ProtocolIPv4, TTLAdd: 255}) {
		t.Fatalf("%+v, %v", a, err)
	}
	for name, edits := range map[string][]edit{
		"nothing":          nil,
		"twice":            {ttl, ttl},
		"set and add":      {ttl, {header: headerIP4, keep: ttl.keep, value: ttl.value, at: 8}},
		"two families":     {ttl, {header: headerIP6, keep: 0, at: 8}},
		"two transports":   {{header: headerTCP}, {header: headerUDP}},
		"old header":       change(func(e *edit) { e.header = 0 }),
		"unknown header":   change(func(e *edit) { e.header = 6 }),
		"unknown command":  change(func(e *edit) { e.cmd = 2 }),
		"flipped bits":     change(func(e *edit) { e.cmd, e.value = cmdSet, 0xffffffff }),
		"add of a word":    change(func(e *edit) { e.keep = 0 }),
		"add of TOS":       change(func(e *edit) { e.at = 0 }),
		"add of a port":    change(func(e *edit) { e.header, e.at = headerTCP, 0 }),
		"protocol":         change(func(e *edit) { e.cmd, e.value, e.keep = cmdSet, 0, ^native.Uint32([]byte{0, 0xff, 0, 0}) }),
		"ethertype":        {ttl, {header: headerEth, keep: ^first, at: 12}},
		"sequence number":  {ttl, {header: headerTCP, keep: ^first, at: 4}},
		"identification":   {ttl, {header: headerIP4, keep: ^first, at: 4}},
		"behind":           change(func(e *edit) { e.cmd, e.at = cmdSet, 40 }),
		"far behind":       change(func(e *edit) { e.cmd, e.at = cmdSet, 0xfffffffc }),
		"odd offset":       change(func(e *edit) { e.cmd, e.at = cmdSet, 13 }),
		"offset in packet": change(func(e *edit) { e.fromPacket, e.atMask = 9, 0xff }),
	} {
		if a, err := decodeEdits(edits); err != nil || !a.Partial || a.Rewrite != (Rewrite{}) {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
	set := func(at uint32, keep, value []byte) edit {
		return edit{header: headerIP4, keep: native.Uint32(keep), value: native.Uint32(value), at: at}
	}
	// Of two words for the same bits the last counts.
	a, err := decodeEdits([]edit{
		set(8, []byte{0, 0xff, 0xff, 0xff}, []byte{0xff, 0, 0, 0}),
		set(8, []byte{0xf0, 0xff, 0xff, 0xff}, []byte{1, 0, 0, 0}),
	})
	if want := (Rewrite{Protocol: ProtocolIPv4, TTL: Exact8(0xf1)}); err != nil || a.Partial || a.Rewrite != want {
		t.Errorf("%+v, %v, want %+v", a, err, want)
	}

	whole := options([]edit{ttl})
	for name, b := range map[string][]byte{
		"no headers":     whole[:28+peditKeyLen],
		"no words":       whole[28+peditKeyLen:],
		"more headers":   append(append([]byte(nil), whole[:28+peditKeyLen]...), options([]edit{ttl, ttl})[28+2*peditKeyLen:]...),
		"too many words": append(append([]byte(nil), whole[:24]...), append([]byte{2}, whole[25:]...)...),
	} {
		var err error
		a := Action{Kind: KindPedit}
		a.decodeOptions(attrs{b: b, err: &err})
		if !a.Partial || (err != nil) != (name == "too many words") {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
}

// TestPeditKeepsToMasks: what a value has outside of its mask is not written.
func TestPeditKeepsToMasks(t *testing.T) {
	a := Action{Kind: KindPedit, Rewrite: Rewrite{Protocol: ProtocolIPv6, TOS: Match8{0xff, 0x3c}, IPProto: protoUDP, SrcPort: Match16{0xffff, 0x0ff0}}}
	b, err := a.appendPedit(nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeEdits(parse(b))
	want := a.Rewrite
	want.TOS.Value, want.SrcPort.Value = 0x3c, 0x0ff0
	if err != nil || got.Partial || got.Rewrite != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
}
