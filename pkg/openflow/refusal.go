package openflow

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Refusal is the bridge's own OFPT_ERROR. A bridge that refuses the flow monitor
// does so until it is configured otherwise.
type Refusal struct {
	Version    Version // of the connection; 0 before one was agreed on
	Type, Code uint16  // as in the message, an extension's own ones included
	Vendor     uint32  // whose Type and Code they are; 0: OpenFlow's
	Text       string  // what the bridge said, or the name of Type and Code
}

// Error returns the text, with what to do about it.
func (e *Refusal) Error() string {
	if e.Version == 0 {
		return fmt.Sprintf("bridge refuses the connection: %s: %s", e.Text, adviceVersion)
	}
	return fmt.Sprintf("bridge refuses the flow monitor of %s: %s: %s", e.Version, e.Text, adviceVersion)
}

// Is makes a refused handshake ErrVersion.
func (e *Refusal) Is(target error) bool {
	return target == ErrVersion && e.Version == 0 && e.Vendor == 0 && e.Type == errHelloFailed
}

const adviceVersion = "let the bridge's column protocols include OpenFlow14 (ovs-vsctl add bridge BRIDGE protocols OpenFlow14)"

// Of ofp_error_msg: what is not a plain type and code.
const (
	errHelloFailed  = 0
	errNicira       = 0xb0c2 // 1.0 and 1.1: vendor, type and code follow
	errExperimenter = 0xffff // 1.2 and later: the code is the type, the vendor follows
	maxErrorText    = 200
)

// errorNames are those of what can befall our requests.
var errorNames = map[[2]uint16]string{
	{1, 0}: "bad request: version", {1, 1}: "bad request: message type",
	{1, 2}: "bad request: multipart type", {1, 3}: "bad request: experimenter",
	{1, 4}: "bad request: experimenter type", {1, 5}: "bad request: permission",
	{1, 6}: "bad request: length", {1, 9}: "bad request: table",
	{16, 0}: "flow monitor failed", {16, 1}: "flow monitor failed: id in use",
	{16, 4}: "flow monitor failed: command", {16, 5}: "flow monitor failed: flags",
	{16, 6}: "flow monitor failed: table", {16, 7}: "flow monitor failed: output",
}

// parseError reads the body of an OFPT_ERROR.
func parseError(v Version, b []byte) error {
	if len(b) < 4 {
		return malformed("short error")
	}
	e := &Refusal{Version: v, Type: binary.BigEndian.Uint16(b), Code: binary.BigEndian.Uint16(b[2:])}
	data := b[4:]
	switch {
	case e.Type == errNicira && e.Code == errNicira && len(data) >= 8:
		e.Vendor = binary.BigEndian.Uint32(data)
		e.Type, e.Code = binary.BigEndian.Uint16(data[4:]), binary.BigEndian.Uint16(data[6:])
	case e.Type == errExperimenter && len(data) >= 4:
		e.Vendor = binary.BigEndian.Uint32(data)
	case e.Type == errHelloFailed:
		e.Text = printable(data)
		return e
	}
	e.Text = fmt.Sprintf("type %d, code %d", e.Type, e.Code)
	if name, ok := errorNames[[2]uint16{e.Type, e.Code}]; ok && e.Vendor == 0 {
		e.Text = name
	} else if e.Vendor != 0 {
		e.Text += fmt.Sprintf(" of vendor %#x", e.Vendor)
	}
	return e
}

// printable returns what of b may stand in a log.
func printable(b []byte) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '.'
		}
		return r
	}, string(b[:min(len(b), maxErrorText)]))
}
