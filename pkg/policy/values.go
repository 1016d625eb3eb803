package policy

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
)

// values reads a column. It returns the values that were understood, and the condition that
// every connection meets which might meet what is written: none, if one was not understood.
func values[S, T any](p *problems, column string, written []S, parse func(S) (T, error)) (understood, wide []T) {
	if len(written) > MaxValues {
		p.add(column, "%d values, and at most %d are allowed", len(written), MaxValues)
		p.hopeless = true
		return nil, nil
	}
	var wrong []string // sets have no order, and what is told must have one
	for _, w := range written {
		v, err := parse(w)
		if err != nil {
			wrong = append(wrong, err.Error())
			continue
		}
		understood = append(understood, v)
	}
	slices.SortFunc(understood, compare[T])
	understood = slices.CompactFunc(understood, func(a, b T) bool { return compare(a, b) == 0 })
	if len(wrong) == 0 {
		return understood, understood
	}
	slices.Sort(wrong)
	for _, text := range wrong {
		p.add(column, "%s", text)
	}
	p.hopeless = p.hopeless || len(understood) == 0
	return understood, nil
}

func compare[T any](a, b T) int {
	switch a := any(a).(type) {
	case string:
		return strings.Compare(a, any(b).(string))
	case netip.Prefix:
		return a.Compare(any(b).(netip.Prefix))
	case flows.Proto:
		return cmp.Compare(a, any(b).(flows.Proto))
	case uint8:
		return cmp.Compare(a, any(b).(uint8))
	case PortRange:
		b := any(b).(PortRange)
		return cmp.Or(cmp.Compare(a.First, b.First), cmp.Compare(a.Last, b.Last))
	}
	panic(fmt.Sprintf("values of type %T have no order", a))
}

func parseProtocol(s string) (flows.Proto, error) {
	switch s {
	case "tcp", "udp", "esp", "ah", "gre":
		return flows.ParseProto(s)
	}
	return 0, fmt.Errorf("%s is none of tcp, udp, esp, ah and gre", quote(s))
}

// parsePrefix reads an address or a prefix, whose host bits do not matter, as in the match
// of an OpenFlow flow.
func parsePrefix(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if !strings.Contains(s, "/") {
		var addr netip.Addr
		addr, err = netip.ParseAddr(s)
		p = netip.PrefixFrom(addr, addr.BitLen())
	}
	switch {
	case err != nil || strings.Contains(s, "%"): // a zone means something on one host only
		return p, fmt.Errorf("%s is no IP address or prefix: want 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32", quote(s))
	case p.Addr().Is4In6():
		return p, fmt.Errorf("%s is an IPv4 address in IPv6: write it as IPv4", quote(s))
	}
	return p.Masked(), nil
}

// ranges reads a column of ports, and joins what touches.
func ranges(p *problems, column string, written []string) (understood, wide []PortRange) {
	understood, wide = values(p, column, written, parseRange)
	understood = join(understood)
	if wide != nil {
		wide = understood
	}
	return understood, wide
}

// parseRange reads "N" or "FIRST-LAST".
func parseRange(s string) (PortRange, error) {
	first, last, isRange := strings.Cut(s, "-")
	if !isRange {
		last = first
	}
	from, err1 := strconv.ParseUint(first, 10, 16)
	to, err2 := strconv.ParseUint(last, 10, 16)
	if err1 != nil || err2 != nil {
		return PortRange{}, fmt.Errorf("%s is no port or range: want 0..65535 or FIRST-LAST", quote(s))
	}
	if from > to {
		return PortRange{}, fmt.Errorf("%s is an empty range: its first port is above its last", quote(s))
	}
	return PortRange{uint16(from), uint16(to)}, nil
}

// join makes ranges disjoint that are in the order of their first ports.
func join(list []PortRange) []PortRange {
	var joined []PortRange
	for _, r := range list {
		if n := len(joined); n > 0 && int(r.First) <= int(joined[n-1].Last)+1 {
			joined[n-1].Last = max(joined[n-1].Last, r.Last)
			continue
		}
		joined = append(joined, r)
	}
	return joined
}

func parseText(s string) (string, error) {
	if s == "" || len(s) > maxText {
		return "", fmt.Errorf("%s is not of 1 to %d bytes", quote(s), maxText)
	}
	return s, nil
}

func parseDSCP(n int) (uint8, error) {
	if n < 0 || n > 63 {
		return 0, fmt.Errorf("%d is not between 0 and 63", n)
	}
	return uint8(n), nil
}

func parseApplication(s string) (string, error) {
	s = strings.ToLower(s)
	if s == "" || len(s) > 64 || strings.ContainsFunc(s, func(c rune) bool { return !isWord(c) }) {
		return "", fmt.Errorf("%s is no name of an application: want letters, digits, '-', '_' and '.'", quote(s))
	}
	return s, nil
}

func isWord(c rune) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.'
}

// maxName is how long a name of the domain name system can be (RFC 1035, section 2.3.4, as
// text without the final dot), plus "*.".
const maxName = 253 + 2

// parseServerName reads a pattern: see names.
func parseServerName(s string) (string, error) {
	pattern := strings.TrimSuffix(strings.ToLower(s), ".")
	if pattern == "*" {
		return pattern, nil
	}
	if len(pattern) <= maxName {
		good := true
		for label := range strings.SplitSeq(strings.TrimPrefix(pattern, "*."), ".") {
			good = good && label != "" && len(label) <= 63 &&
				!strings.ContainsFunc(label, func(c rune) bool { return !isWord(c) })
		}
		if good {
			return pattern, nil
		}
	}
	return "", fmt.Errorf("%s is no pattern for server names: want NAME, *.NAME or *, letters beyond ASCII as xn--", quote(s))
}

// quote returns a value as a person can find it, bounded.
func quote(s string) string {
	const most = 64
	if len(s) > most {
		return strconv.Quote(strings.ToValidUTF8(s[:most], "?")) + "..."
	}
	return strconv.Quote(s)
}
