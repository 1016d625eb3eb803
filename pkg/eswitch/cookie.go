package eswitch

import (
	"encoding/binary"

	"github.com/flowshunt/flowshunt/flows"
)

// CookieLen is the length of our cookies in bytes. It must stay below 16: OVS
// takes the first 16 bytes of a cookie for a flow id of its own and warns at every
// revalidation about those that it does not know (lib/netdev-offload-tc.c).
const CookieLen = 12

// cookieMagic begins each cookie of ours.
var cookieMagic = [3]byte{0xf1, 0x05, 0x47}

// EncodeCookie returns what marks a rule as one of ours: the magic, a number that
// tells the life of the process that made it, and the session, big endian; that of a
// guard is 0.
func EncodeCookie(generation uint8, id flows.SessionID) (c [CookieLen]byte) {
	copy(c[:], cookieMagic[:])
	c[3] = generation
	binary.BigEndian.PutUint64(c[4:], uint64(id))
	return c
}

// DecodeCookie reads a cookie. Those of another length or with another magic are not
// ours; one without a session is that of a guard.
func DecodeCookie(b []byte) (generation uint8, id flows.SessionID, ours bool) {
	if len(b) != CookieLen || [3]byte(b) != cookieMagic {
		return 0, 0, false
	}
	id = flows.SessionID(binary.BigEndian.Uint64(b[4:]))
	return b[3], id, true
}
