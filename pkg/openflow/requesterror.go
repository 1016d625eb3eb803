package openflow

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
)

// RequestError is the bridge's refusal of one request of a Client, an OFPT_ERROR.
type RequestError struct {
	Type, Code uint16
	Vendor     uint32 // whose they are; 0: OpenFlow's
}

// Types of errors, and codes of those that callers tell apart (OpenFlow 1.4.1,
// section 7.5.4).
const (
	BadRequest    = 1
	BadAction     = 2
	BadMatch      = 4
	FlowModFailed = 5
	BundleFailed  = 17

	CodeTableFull  = 1 // of FlowModFailed
	CodeOverlap    = 3
	CodeBadOutPort = 4 // of BadAction
)

var requestErrors = map[[2]uint16]string{
	{BadRequest, 5}:             "not permitted",
	{BadAction, CodeBadOutPort}: "bad action: port",
	{BadMatch, 6}:               "bad match: field", {BadMatch, 9}: "bad match: prerequisite",
	{FlowModFailed, CodeTableFull}: "table is full", {FlowModFailed, 2}: "bad table",
	{FlowModFailed, CodeOverlap}: "overlaps another flow", {FlowModFailed, 4}: "not permitted",
	{BundleFailed, 5}: "bundle: too large", {BundleFailed, 12}: "bundle: a message failed",
}

// Error returns the meaning of type and code, or the numbers.
func (e *RequestError) Error() string {
	if name, ok := requestErrors[[2]uint16{e.Type, e.Code}]; ok && e.Vendor == 0 {
		return "bridge refuses: " + name
	}
	return fmt.Sprintf("bridge refuses: type %d, code %d, vendor %#x", e.Type, e.Code, e.Vendor)
}

// Is reports whether target has the same type and code.
func (e *RequestError) Is(target error) bool {
	t, ok := target.(*RequestError)
	return ok && *t == *e
}

// parseRequestError reads the body of an OFPT_ERROR.
func parseRequestError(b []byte) error {
	if len(b) < 4 {
		return malformed("short error")
	}
	e := &RequestError{Type: binary.BigEndian.Uint16(b), Code: binary.BigEndian.Uint16(b[2:])}
	if e.Type == errExperimenter && len(b) >= 8 {
		e.Vendor = binary.BigEndian.Uint32(b[4:])
	}
	return e
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
