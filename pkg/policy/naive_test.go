package policy_test

import (
	"cmp"
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/policy"
)

// naive judges as docs/policy.md says, from what is written and without any preparation. It
// knows only values that are understood.
type naive struct {
	policies []policy.Spec
	profiles []policy.ProfileSpec
	ports    []policy.Port
}

// three is one of three values: 0 no, 1 maybe, 2 yes.
type three int

func truth(b bool) three {
	if b {
		return 2
	}
	return 0
}

// decision is flows.Decision with names.
type decision struct {
	policy  string
	verdict string
	doubt   string
	hope    string
}

func (n *naive) decide(s *flows.Subject) decision {
	list := slices.SortedFunc(slices.Values(n.policies), func(a, b policy.Spec) int {
		return cmp.Or(cmp.Compare(b.Priority, a.Priority), strings.Compare(a.Name, b.Name))
	})
	list = slices.DeleteFunc(list, func(p policy.Spec) bool { return p.Disabled })
	d := decision{verdict: "inspect"}
	end := len(list)
	for i, p := range list {
		others, seen := n.match(&p, s)
		if p.Verdict == "offload" && others == 2 && seen > 0 && d.hope == "" {
			d.hope = p.Name
		}
		if min(others, seen) == 2 {
			d.policy, d.verdict, end = p.Name, cmp.Or(p.Verdict, "inspect"), i
			break
		}
	}
	for _, p := range list[:end] {
		others, seen := n.match(&p, s)
		matters := p.Verdict != "offload" && (d.policy == "" || d.verdict == "offload") || p.Verdict != "drop" && d.verdict == "drop"
		if min(others, seen) == 1 && matters {
			d.doubt = p.Name
			break
		}
	}
	return d
}

// match judges the conditions on what a look at the path and at packets tells, and all others.
func (n *naive) match(p *policy.Spec, s *flows.Subject) (others, seen three) {
	others = min(
		truth(len(p.Protocols) == 0 || slices.Contains(p.Protocols, s.Tuple.Proto.String())),
		max(addressed(p, s.Tuple), addressed(p, s.Far)),
		n.application(p.Applications, s),
		serverName(p.ServerNames, s))
	return others, min(n.port(p, s), dscp(p.DSCP, s.DSCP))
}

func addressed(p *policy.Spec, t flows.Tuple) three {
	return min(within(p.SrcPrefixes, t.Src), within(p.DstPrefixes, t.Dst),
		portIn(p.SrcPorts, t.Proto, t.SrcPort), portIn(p.DstPorts, t.Proto, t.DstPort))
}

func within(prefixes []string, a netip.Addr) three {
	return truth(len(prefixes) == 0 || slices.ContainsFunc(prefixes, func(s string) bool {
		if !strings.Contains(s, "/") {
			return netip.MustParseAddr(s) == a
		}
		return netip.MustParsePrefix(s).Contains(a)
	}))
}

func portIn(ranges []string, p flows.Proto, port uint16) three {
	if len(ranges) == 0 {
		return 2
	}
	return truth((p == flows.TCP || p == flows.UDP || p == flows.SCTP) && slices.ContainsFunc(ranges, func(s string) bool {
		first, last, found := strings.Cut(s, "-")
		if !found {
			last = first
		}
		from, _ := strconv.Atoi(first)
		to, _ := strconv.Atoi(last)
		return from <= int(port) && int(port) <= to
	}))
}

func dscp(wanted []int, d flows.DSCP) three {
	if len(wanted) > 0 && d == 0 {
		return 1
	}
	return truth(len(wanted) == 0 || slices.Contains(wanted, int(d)-1))
}

// shown is the application, and the server name, with what is known of a protocol.
func shown(s *flows.Subject) flows.Content {
	if s.Tuple.Proto == flows.ESP || s.Tuple.Proto == flows.AH {
		return flows.Content{Known: true, Application: "ipsec"}
	}
	return s.Content
}

func (n *naive) application(wanted []string, s *flows.Subject) three {
	if len(wanted) == 0 {
		return 2
	}
	c, best := shown(s), three(0)
	for _, w := range wanted {
		switch {
		case w == "uninspectable":
			best = max(best, n.uninspectable(s))
		case !c.Known:
			best = max(best, 1)
		default:
			best = max(best, truth(c.Application == strings.ToLower(w)))
		}
	}
	return best
}

func (n *naive) uninspectable(s *flows.Subject) three {
	c := shown(s)
	if c.Known && !slices.Contains([]string{"dtls", "ipsec", "openvpn", "quic", "ssh", "tls", "wireguard"}, c.Application) {
		return 0
	}
	canName := slices.Contains([]string{"dtls", "quic", "tls"}, c.Application)
	for _, p := range n.profiles {
		if p.Disabled {
			continue
		}
		name := len(p.ServerNames) == 0
		if c.Known && canName && !name {
			name = c.ServerName == "" || slices.ContainsFunc(p.ServerNames, func(w string) bool { return fits(w, c.ServerName) })
		}
		for _, t := range []flows.Tuple{s.Tuple, s.Far} {
			if name && min(within(p.DstPrefixes, t.Dst), portIn(p.DstPorts, t.Proto, t.DstPort)) == 2 {
				return 0
			}
		}
	}
	if !c.Known {
		return 1
	}
	return 2
}

func serverName(wanted []string, s *flows.Subject) three {
	c := shown(s)
	if len(wanted) > 0 && !c.Known {
		return 1
	}
	return truth(len(wanted) == 0 || slices.ContainsFunc(wanted, func(w string) bool { return fits(w, c.ServerName) }))
}

func fits(pattern, name string) bool {
	pattern = strings.ToLower(pattern)
	switch {
	case pattern == "*":
		return name != ""
	case strings.HasPrefix(pattern, "*."):
		return strings.HasSuffix(name, pattern[1:])
	}
	return name == pattern
}

func (n *naive) port(p *policy.Spec, s *flows.Subject) three {
	if len(p.Interfaces)+len(p.IfaceIDs)+len(p.SecurityGroups)+len(p.Tenants) == 0 {
		return 2
	}
	if !s.Placed {
		return 1
	}
	return max(n.at(p, s.In), n.at(p, s.Out))
}

func (n *naive) at(p *policy.Spec, id flows.PortID) three {
	if id == 0 {
		return 0
	}
	i := slices.IndexFunc(n.ports, func(q policy.Port) bool { return q.ID == id })
	if i < 0 {
		return 1
	}
	q := n.ports[i]
	like := func(globs []string, s string) bool {
		return len(globs) == 0 || slices.ContainsFunc(globs, func(g string) bool { ok, err := path.Match(g, s); return ok && err == nil })
	}
	if !like(p.Interfaces, q.Name) || len(p.IfaceIDs) > 0 && (q.IfaceID == "" || !like(p.IfaceIDs, q.IfaceID)) {
		return 0
	}
	return min(one(p.Tenants, q, q.Tenant), one(p.SecurityGroups, q, q.SecurityGroups))
}

var isUUID = regexp.MustCompile("(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$").MatchString

// one judges whether one of the values is one of a port's.
func one(values []string, q policy.Port, n policy.Names) three {
	switch {
	case len(values) == 0:
		return 2
	case q.IfaceID == "":
		return 0
	}
	best := three(0)
	for _, v := range values {
		for _, have := range n.List {
			same := v == have
			if isUUID(v) && isUUID(have) {
				same = strings.EqualFold(strings.ReplaceAll(v, "-", ""), strings.ReplaceAll(have, "-", ""))
			}
			best = max(best, truth(same))
		}
		for _, name := range n.Called {
			best = max(best, truth(v == name && !isUUID(v)))
		}
		if !n.Named && !(n.IDs && isUUID(v)) {
			best = max(best, 1)
		}
	}
	return best
}

func named(t *policy.Table, d flows.Decision) decision {
	return decision{t.Describe(d.Policy), d.Verdict.String(), t.Describe(d.Doubt), t.Describe(d.Hope)}
}

func (d decision) String() string {
	return fmt.Sprintf("%s by %q, doubt %q, hope %q", d.verdict, d.policy, d.doubt, d.hope)
}
