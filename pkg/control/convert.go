package control

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/flowshunt/flowshunt/flows"
)

// maxText bounds each text of an answer. Details come from kernels, databases
// and drivers.
const maxText = 2048

// text makes s fit for the wire, which takes only valid UTF-8.
func text[S ~string](s S) string {
	t := strings.ToValidUTF8(string(s), "\uFFFD")
	if len(t) <= maxText {
		return t
	}
	cut := maxText
	for !utf8.RuneStart(t[cut]) {
		cut--
	}
	return t[:cut] + "..."
}

// enum reads a wire enum. A value that does not fit becomes 255, which has no
// name.
func enum[T ~uint8, E ~int32](e E) T {
	if e < 0 || e > 255 {
		return 255
	}
	return T(e)
}

// The wire keeps zero for "not told", so verdicts are one higher there.
func fromVerdict(v flows.Verdict) int32 { return int32(v) + 1 }

func toVerdict[E ~int32](e E) flows.Verdict {
	if e < 1 || e > 255 {
		return 255
	}
	return flows.Verdict(e - 1)
}

func fromTime(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func toTime(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

func toZone(z uint32) (flows.Zone, error) {
	if z > 0xffff {
		return 0, fmt.Errorf("zone %d: want 0 to 65535", z)
	}
	return flows.Zone(z), nil
}

func fromZonePtr(z *flows.Zone) *uint32 {
	if z == nil {
		return nil
	}
	n := uint32(*z)
	return &n
}

func toZonePtr(n *uint32) (*flows.Zone, error) {
	if n == nil {
		return nil, nil
	}
	z, err := toZone(*n)
	return &z, err
}

// convert maps a slice through a conversion that cannot fail.
func convert[A, B any](in []A, f func(*A) B) []B {
	out := make([]B, len(in))
	for i := range in {
		out[i] = f(&in[i])
	}
	return out
}
