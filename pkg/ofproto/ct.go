package ofproto

import (
	"fmt"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/megaflow"
)

// parseCT reads what is in the parentheses of ct(): nothing for zone 0 alone.
func parseCT(args string) (megaflow.Action, error) {
	var ct megaflow.CT
	if args == "" {
		return ct, nil
	}
	words, err := split(args)
	if err != nil {
		return nil, err
	}
	for _, word := range words {
		if err := setCT(&ct, word); err != nil {
			return nil, err
		}
	}
	return ct, nil
}

func setCT(ct *megaflow.CT, word string) error {
	name, value, _ := strings.Cut(word, "=")
	switch {
	case word == "commit":
		ct.Commit = true
	case word == "force_commit":
		ct.Commit, ct.Force = true, true
	case word == "nat":
		ct.NAT = true
	case strings.HasPrefix(word, "nat("):
		return setNAT(ct, word)
	case value == "":
		return fmt.Errorf("%w: %q", ErrFormat, clip(word))
	case name == "zone":
		zone, err := number(value, 16)
		ct.Zone = flows.Zone(zone)
		return err
	case name == "mark":
		v, mask, err := masked(value, 32)
		ct.Mark, ct.MarkMask = uint32(v&mask), uint32(mask)
		return err
	case name == "label":
		v, mask, err := masked128(value)
		for i := range v {
			v[i] &= mask[i]
		}
		ct.Labels, ct.LabelsMask = v, mask
		return err
	case name == "helper":
		ct.Helper = clip(value)
	case name == "timeout": // a policy of ageing: the packets go the same way
	default:
		return fmt.Errorf("%w: %q", ErrFormat, clip(word))
	}
	return nil
}

// setNAT reads nat(src...) or nat(dst...); a range is told by its presence alone.
func setNAT(ct *megaflow.CT, word string) error {
	_, args, err := call(word)
	if err != nil {
		return err
	}
	kind := args[:min(3, len(args))]
	rest := args[len(kind):]
	if kind != "src" && kind != "dst" || rest != "" && rest[0] != '=' && rest[0] != ',' {
		return fmt.Errorf("%w: %q", ErrFormat, clip(word))
	}
	ct.NAT, ct.NATSrc, ct.NATDst = true, kind == "src", kind == "dst"
	return nil
}
