package openflow

import (
	"encoding/binary"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	of "github.com/flowshunt/flowshunt/pkg/openflow"
)

// A cookie of ours is the magic, with the version of the note in its last byte, and
// the handle of the rule.
const (
	cookieMagic = 0xf1054701
	magicMask   = 0xffffffff << 32
	wholeCookie = 1<<64 - 1
)

func cookieOf(handle uint32) uint64 { return cookieMagic<<32 | uint64(handle) }

// IsOurs reports whether a flow with this cookie is a rule.
func IsOurs(cookie uint64) bool { return cookie>>32 == cookieMagic }

// noteLen is the length of a note: generation, a byte that is 0, link, session. It is
// one that needs no padding.
const noteLen = 14

// mark is what a flow says of itself beside what it does.
type mark struct {
	handle     uint32
	generation uint8
	link       int32
	session    flows.SessionID // 0: it is a guard
	tunnels    bool            // packets arrive in one, or leave in one
	in, out    flows.Tunnel    // then: what of them stands nowhere else
}

func (m *mark) note() []byte {
	b := make([]byte, 0, tunnelNoteLen)
	b = append(b, m.generation, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(m.link))
	b = binary.BigEndian.AppendUint64(b, uint64(m.session))
	if m.tunnels {
		b = appendTunnelNote(b, m.in, m.out)
	}
	return b
}

// markOf reads what a flow says of itself; ok is false where that is nothing we wrote.
func markOf(f *of.Flow) (m mark, ok bool) {
	if !IsOurs(f.Cookie) || len(f.Actions) == 0 {
		return m, false
	}
	first := &f.Actions[0]
	if first.Kind != of.Note || len(first.Note) != noteLen && len(first.Note) != tunnelNoteLen {
		return m, false
	}
	b := first.Note
	m = mark{
		handle: uint32(f.Cookie), generation: b[0],
		link: int32(binary.BigEndian.Uint32(b[2:])), session: flows.SessionID(binary.BigEndian.Uint64(b[6:])),
		tunnels: len(b) == tunnelNoteLen,
	}
	m.in, m.out = tunnelsOf(b)
	return m, b[1] == 0 && (m.session != 0) == !f.Match.MatchTTL && m.handle != 0 && m.link > 0
}

func (m *mark) ref(class eswitch.Class) eswitch.Ref {
	return eswitch.Ref{Link: m.link, Class: class, Handle: m.handle}
}
