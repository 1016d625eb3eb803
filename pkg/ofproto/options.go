package ofproto

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

// maxOptions is how many bytes of options Geneve's header has room for (RFC 8926,
// section 3.4).
const maxOptions = 252

// formatOptions writes Geneve's options as ovs-dpctl(8) does.
func formatOptions(options string) (string, error) {
	var b strings.Builder
	for rest := options; rest != ""; {
		if len(rest) < 4 || len(rest) < 4+4*int(rest[3]&31) || len(options) > maxOptions {
			return "", fmt.Errorf("%w: Geneve options %x", ErrQuery, clip(options))
		}
		n := 4 * int(rest[3]&31)
		fmt.Fprintf(&b, "{class=%#x,type=%#x,len=%d", binary.BigEndian.Uint16([]byte(rest)), rest[2], n)
		if n > 0 {
			fmt.Fprintf(&b, ",0x%x", rest[4:4+n])
		}
		b.WriteString("}")
		rest = rest[4+n:]
	}
	return b.String(), nil
}

// parseOptions is the reverse of formatOptions.
func parseOptions(text string) (string, error) {
	var all []byte
	for text != "" {
		inner, rest, ok := strings.Cut(text, "}")
		inner, opened := strings.CutPrefix(inner, "{")
		if !ok || !opened {
			return "", fmt.Errorf("%w: Geneve options %q", ErrFormat, clip(text))
		}
		option, err := parseOption(inner)
		if err != nil {
			return "", err
		}
		all, text = append(all, option...), strings.TrimPrefix(rest, ",")
	}
	if len(all) > maxOptions {
		return "", fmt.Errorf("%w: %d bytes of Geneve options", ErrFormat, len(all))
	}
	return string(all), nil
}

// parseOption reads class=0x102,type=0x80,len=4,0x10003.
func parseOption(text string) ([]byte, error) {
	words := strings.Split(text, ",")
	if len(words) < 3 || len(words) > 4 {
		return nil, fmt.Errorf("%w: Geneve option %q", ErrFormat, clip(text))
	}
	var values [3]uint64
	for i, name := range [...]string{"class", "type", "len"} {
		value, ok := strings.CutPrefix(words[i], name+"=")
		n, err := number(value, []int{16, 8, 7}[i])
		if !ok || err != nil {
			return nil, fmt.Errorf("%w: Geneve option %q", ErrFormat, clip(text))
		}
		values[i] = n
	}
	n := int(values[2])
	if n%4 != 0 {
		return nil, fmt.Errorf("%w: Geneve option of %d bytes", ErrFormat, n)
	}
	option := make([]byte, 4+n)
	binary.BigEndian.PutUint16(option, uint16(values[0]))
	option[2], option[3] = byte(values[1]), byte(n/4)
	if len(words) == 3 {
		return option, nil
	}
	digits, ok := strings.CutPrefix(words[3], "0x")
	if len(digits)%2 != 0 {
		digits = "0" + digits
	}
	data, err := hex.DecodeString(digits)
	if !ok || err != nil || len(data) > n {
		return nil, fmt.Errorf("%w: Geneve option %q", ErrFormat, clip(text))
	}
	copy(option[4+n-len(data):], data)
	return option, nil
}
