package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/flowshunt/flowshunt/flows"
)

// clean makes text of others safe for a terminal: control characters, line breaks
// and direction marks appear as escapes.
func clean(s string) string {
	bad := func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }
	if strings.IndexFunc(s, bad) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if bad(r) {
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// si shortens a number to three digits and a decimal prefix: 93.2M.
func si(n uint64) string {
	if n < 1000 {
		return strconv.FormatUint(n, 10)
	}
	v, prefix := float64(n), 0
	for ; v >= 999.5; prefix++ {
		v /= 1000
	}
	decimals := 2
	switch {
	case v >= 99.95:
		decimals = 0
	case v >= 9.995:
		decimals = 1
	}
	return strconv.FormatFloat(v, 'f', decimals, 64) + " kMGTPE"[prefix:prefix+1]
}

// span shortens a length of time to its two largest units.
func span(d time.Duration) string {
	d = max(d, 0)
	s := int64(d / time.Second)
	switch {
	case d > 0 && d < time.Second:
		return fmt.Sprintf("%dms", d/time.Millisecond)
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%ds", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%dh%dm", s/3600, s/60%60)
	default:
		return fmt.Sprintf("%dd%dh", s/86400, s/3600%24)
	}
}

// since returns the time from t to now, or "-" if either is not known.
func since(now, t time.Time) string {
	if now.IsZero() || t.IsZero() {
		return "-"
	}
	return span(now.Sub(t))
}

// moment writes a point in time in UTC; empty if it is not known.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// verdict names a verdict, also one that only a newer agent knows.
func verdict(v flows.Verdict) string {
	if v > flows.Drop {
		return fmt.Sprintf("unknown-%d", uint8(v)+1)
	}
	return v.String()
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// arrow writes a tuple for people: "tcp 10.0.0.1:40000 -> 10.0.0.2:5201".
func arrow(t flows.Tuple) string {
	parts := strings.Split(t.String(), ",")
	return parts[0] + " " + parts[1] + " -> " + parts[2]
}
