package representor

import (
	"strconv"
	"strings"

	"github.com/flowshunt/flowshunt/pkg/devlink"
)

// parseName reads a phys_port_name. Those that devlink makes are
//
//	p0, p0s1              a connector, or a part of a split one
//	pf0, pf0vf3, pf0sf88  a physical, a virtual, a subfunction
//	c1pf0vf3              of another controller
//
// (__devlink_port_phys_port_name_get, net/devlink/port.c). Drivers that name ports
// themselves have variants: mlx5 before Linux 5.0 had only the number of the VF, "3",
// and had "pf0vf-1" for the PF of the host that a smart NIC is in.
func parseName(name string) (f Function, ok bool) {
	if n, rest, found := number(name, ""); found && rest == "" {
		return Function{Flavour: devlink.PCIVF, VF: uint16(n)}, true
	}
	rest := name
	if n, after, found := number(rest, "c"); found {
		f.Controller, f.External, rest = n, true, after
	}
	pf, rest, found := number(rest, "pf")
	if !found {
		return connector(name)
	}
	f.PF, f.HasPF, f.Flavour = uint16(pf), true, devlink.PCIPF
	if rest == "" || rest == "vf-1" {
		return f, true
	}
	if n, after, found := number(rest, "vf"); found && after == "" {
		f.Flavour, f.VF = devlink.PCIVF, uint16(n)
		return f, true
	}
	if n, after, found := wide(rest, "sf"); found && after == "" {
		f.Flavour, f.SF = devlink.PCISF, n
		return f, true
	}
	return Function{}, false
}

func connector(name string) (f Function, ok bool) {
	n, rest, found := number(name, "p")
	if _, after, split := number(rest, "s"); split {
		rest = after
	}
	if !found || rest != "" {
		return Function{}, false
	}
	return Function{Flavour: devlink.Physical, Number: n}, true
}

// number takes a prefix and a decimal number of 16 bits off s.
func number(s, prefix string) (n uint32, rest string, ok bool) {
	n, rest, ok = wide(s, prefix)
	return n, rest, ok && n < 1<<16
}

// wide takes one of 32 bits.
func wide(s, prefix string) (n uint32, rest string, ok bool) {
	digits, ok := strings.CutPrefix(s, prefix)
	if !ok {
		return 0, s, false
	}
	end := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(digits)
	}
	v, err := strconv.ParseUint(digits[:end], 10, 32)
	if err != nil {
		return 0, s, false
	}
	return uint32(v), digits[end:], true
}
