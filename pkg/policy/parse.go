package policy

import (
	"fmt"
	"strings"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// parsed is a policy, and how much of it was understood.
type parsed struct {
	Policy // of each condition the values that were understood
	wide   Match
	problems
}

// problems are what is wrong with a row, in the order of its columns.
type problems struct {
	texts []string
	// hopeless means that of one condition no value was understood: nothing is known to fit.
	hopeless bool
}

func (p *problems) add(column, format string, args ...any) {
	p.texts = append(p.texts, column+": "+fmt.Sprintf(format, args...))
}

// maxProblems is how many of one row are told.
const maxProblems = 8

// text is what is wrong; empty: nothing. It depends on nothing but the row.
func (p *problems) text() string {
	if n := len(p.texts); n > maxProblems {
		return strings.Join(p.texts[:maxProblems], "; ") + fmt.Sprintf("; and %d more", n-maxProblems)
	}
	return strings.Join(p.texts, "; ")
}

// Parse returns what s says, and an error that names every value that cannot be understood.
func Parse(s Spec) (Policy, error) {
	p := parse(s)
	if text := p.text(); text != "" {
		return Policy{}, fmt.Errorf("policy %s: %s", quote(s.Name), text)
	}
	return p.Policy, nil
}

func parse(s Spec) parsed {
	var p parsed
	p.Name = s.Name
	p.checkName(s.Name)
	p.Priority = uint16(p.number("priority", s.Priority, 0, 65535))
	m, w := &p.Match, &p.wide
	m.Protocols, w.Protocols = values(&p.problems, "protocols", s.Protocols, parseProtocol)
	m.Src, w.Src = values(&p.problems, "src_prefixes", s.SrcPrefixes, parsePrefix)
	m.Dst, w.Dst = values(&p.problems, "dst_prefixes", s.DstPrefixes, parsePrefix)
	m.SrcPorts, w.SrcPorts = ranges(&p.problems, "src_ports", s.SrcPorts)
	m.DstPorts, w.DstPorts = ranges(&p.problems, "dst_ports", s.DstPorts)
	m.Port.Names, w.Port.Names = values(&p.problems, "interfaces", s.Interfaces, parseText)
	m.Port.IfaceIDs, w.Port.IfaceIDs = values(&p.problems, "iface_ids", s.IfaceIDs, parseText)
	m.Port.SecurityGroups, w.Port.SecurityGroups = values(&p.problems, "security_groups", s.SecurityGroups, parseText)
	m.Port.Tenants, w.Port.Tenants = values(&p.problems, "tenants", s.Tenants, parseText)
	m.DSCP, w.DSCP = values(&p.problems, "dscp", s.DSCP, parseDSCP)
	m.Applications, w.Applications = values(&p.problems, "applications", s.Applications, parseApplication)
	m.ServerNames, w.ServerNames = values(&p.problems, "server_names", s.ServerNames, parseServerName)
	p.verdict(s.Verdict)
	p.terms(&s)
	return p
}

func (p *problems) checkName(name string) {
	if name == "" || len(name) > maxText {
		p.add("name", "want 1 to %d bytes", maxText)
	}
}

func (p *problems) number(column string, n, least, most int) int {
	if n < least || n > most {
		p.add(column, "%d is not between %d and %d", n, least, most)
	}
	return min(max(n, least), most)
}

func (p *parsed) verdict(word string) {
	switch word {
	case "", "inspect":
		p.Verdict = flows.Inspect
	case "offload":
		p.Verdict = flows.Offload
	case "drop":
		p.Verdict = flows.Drop
	default:
		p.add("verdict", "%s is neither inspect, offload nor drop", quote(word))
	}
}

// The largest values of the columns.
const (
	maxCount   = 1<<53 - 1
	maxAge     = 24 * 60 * 60
	maxPackets = 1_000_000
	maxSeconds = 365 * 24 * 60 * 60
)

func (p *parsed) terms(s *Spec) {
	packets := flows.DefaultInspectPackets
	if s.InspectPackets != nil {
		packets = *s.InspectPackets
	}
	seconds := func(column string, n, most int) time.Duration {
		return time.Duration(p.number(column, n, 0, most)) * time.Second
	}
	p.Terms = flows.Terms{
		Bytes:          uint64(p.number("elephant_bytes", s.ElephantBytes, 0, maxCount)),
		Rate:           float64(p.number("elephant_rate", s.ElephantRate, 0, maxCount)),
		Age:            seconds("elephant_age", s.ElephantAge, maxAge),
		InspectPackets: uint32(p.number("inspect_packets", packets, 0, maxPackets)),
		MaxLifetime:    seconds("max_lifetime", s.MaxLifetime, maxSeconds),
		Reinspect:      seconds("reinspect_interval", s.ReinspectInterval, maxSeconds),
	}
}

// parsedProfile is a profile, and how much of it was understood.
type parsedProfile struct {
	Profile // as a whole, if there is no problem
	wide    Profile
	problems
}

// ParseProfile is Parse for a profile.
func ParseProfile(s ProfileSpec) (Profile, error) {
	p := parseProfile(s)
	if text := p.text(); text != "" {
		return Profile{}, fmt.Errorf("profile %s: %s", quote(s.Name), text)
	}
	return p.Profile, nil
}

func parseProfile(s ProfileSpec) parsedProfile {
	var p parsedProfile
	p.Name, p.wide.Name = s.Name, s.Name
	p.checkName(s.Name)
	p.Dst, p.wide.Dst = values(&p.problems, "dst_prefixes", s.DstPrefixes, parsePrefix)
	p.DstPorts, p.wide.DstPorts = ranges(&p.problems, "dst_ports", s.DstPorts)
	p.ServerNames, p.wide.ServerNames = values(&p.problems, "server_names", s.ServerNames, parseServerName)
	return p
}
