package dpctl

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
)

// What of an entry must have been there.
const (
	sawOrig = 1 << iota
	sawReply
)

// setField takes one NAME=VALUE of an entry; names that are not known say nothing
// that is needed.
func setField(e *flows.Entry, seen *uint, field string) (err error) {
	name, value, _ := strings.Cut(field, "=")
	switch name {
	case "orig":
		*seen |= sawOrig
		return setTuple(&e.Key.Tuple, value)
	case "reply":
		*seen |= sawReply
		return setTuple(&e.Reply, value)
	case "zone":
		var n uint64
		n, err = strconv.ParseUint(value, 10, 16)
		e.Key.Zone = flows.Zone(n)
	case "mark":
		e.Mark, err = number32(value)
	case "timeout":
		e.Timeout, err = number32(value)
	case "labels":
		err = setLabels(e, value)
	case "helper":
		e.HasHelper = true
	case "parent":
		e.HasMaster = true
	case "protoinfo":
		err = setTCP(e, value)
	}
	if err != nil {
		return fmt.Errorf("%w: %q", ErrFormat, clip(field))
	}
	return nil
}

func number32(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 0, 32)
	return uint32(n), err
}

func inside(s string) (string, error) {
	if len(s) < 2 || s[0] != '(' || s[len(s)-1] != ')' {
		return "", fmt.Errorf("%w: parentheses", ErrFormat)
	}
	return s[1 : len(s)-1], nil
}

// setTuple reads (src=A,dst=A,sport=P,dport=P).
func setTuple(t *flows.Tuple, s string) error {
	s, err := inside(s)
	if err != nil {
		return err
	}
	for part := range strings.SplitSeq(s, ",") {
		name, value, _ := strings.Cut(part, "=")
		switch name {
		case "src":
			t.Src, err = address(value)
		case "dst":
			t.Dst, err = address(value)
		case "sport":
			t.SrcPort, err = port(value)
		case "dport":
			t.DstPort, err = port(value)
		}
		if err != nil {
			return fmt.Errorf("%w: %q", ErrFormat, clip(part))
		}
	}
	return nil
}

func address(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err == nil && (a.Zone() != "" || a.Is4In6()) {
		err = ErrFormat
	}
	return a, err
}

func port(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err
}

// setLabels reads a hexadecimal number; the kernel's order of the bytes is the
// opposite one.
func setLabels(e *flows.Entry, s string) error {
	digits, ok := strings.CutPrefix(s, "0x")
	if len(digits)%2 != 0 {
		digits = "0" + digits
	}
	b, err := hex.DecodeString(digits)
	if !ok || err != nil || len(b) > len(e.Labels) {
		return ErrFormat
	}
	for i := range b {
		e.Labels[len(b)-1-i] = b[i]
	}
	return nil
}
