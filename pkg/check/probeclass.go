package check

import (
	"context"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/tc"
)

// probeClasses are one protocol for each class that rules can have.
var probeClasses = []struct {
	proto flows.Proto
	v6    bool
}{
	{flows.TCP, false}, {flows.UDP, false}, {flows.SCTP, false}, {flows.ESP, false},
	{flows.TCP, true}, {flows.UDP, true}, {flows.SCTP, true}, {flows.ESP, true},
}

// classResult is what became of a class.
type classResult struct {
	class   eswitch.Class
	err     error    // nil: taken as an agent makes it
	without []string // what must be left out of the match for it to be taken; only if err
}

// classes tries each class, and those that are refused also with less to match, so that one
// sees what the hardware cannot do. Taken reports whether TCP over IPv4 was.
func (p *prober) classes(ctx context.Context) (lines []Line, taken bool) {
	var results []classResult
	for i, c := range probeClasses {
		if ctx.Err() != nil {
			break
		}
		results = append(results, p.class(ctx, probeTuple(c.proto, c.v6, 0), 1+i))
	}
	if l, none := allRefused(results); none {
		return []Line{l}, false
	}
	for _, r := range results {
		taken = taken || r.class == eswitch.TCPv4 && r.err == nil
		lines = append(lines, r.line())
	}
	return lines, taken
}

func (p *prober) class(ctx context.Context, t flows.Tuple, n int) classResult {
	c := []eswitch.Change{p.change(t, flows.Orig, n)}
	p.add(ctx, c)
	r := classResult{class: c[0].Ref.Class, err: c[0].Err}
	if r.err == nil {
		r.err = p.remove(ctx, []eswitch.Ref{c[0].Ref})
		return r
	}
	for _, w := range weaker {
		f, fits := w.filter(&c[0])
		if !fits {
			continue
		}
		left, err := p.raw.try(ctx, f)
		if left {
			p.made[c[0].Ref] = true // of the same place, so that it is removed like a rule
		}
		if err == nil {
			r.without = append(r.without, w.name)
		}
	}
	return r
}

// weakerMatch leaves something out that rules need.
type weakerMatch struct {
	name string
	drop func(*tc.Match)
}

const tcpAndIPFlags = "tcp_flags and ip_flags"

var weaker = []weakerMatch{
	{"tcp_flags", func(m *tc.Match) { m.TCPFlags = tc.Match16{} }},
	{"ip_flags nofrag", func(m *tc.Match) { m.Frag = tc.FragMatch{} }},
	{tcpAndIPFlags, func(m *tc.Match) { m.TCPFlags, m.Frag = tc.Match16{}, tc.FragMatch{} }},
	{"MACs", func(m *tc.Match) { m.SrcMAC, m.DstMAC = tc.MACMatch{}, tc.MACMatch{} }},
}

// filter is what pkg/eswitch/flower makes of a change, with less; fits is false where there
// is nothing to leave out.
func (w weakerMatch) filter(c *eswitch.Change) (f tc.Filter, fits bool) {
	t := c.Rule.Tuple
	m := tc.Match{
		SrcMAC: tc.ExactMAC(c.Rule.SrcMAC), DstMAC: tc.ExactMAC(c.Rule.DstMAC),
		IPProto: uint8(t.Proto), Src: tc.ExactAddr(t.Src), Dst: tc.ExactAddr(t.Dst), Frag: tc.NoFragments,
	}
	if t.Proto.HasPorts() {
		m.SrcPort, m.DstPort = tc.ExactPort(t.SrcPort), tc.ExactPort(t.DstPort)
	}
	if t.Proto == flows.TCP {
		m.TCPFlags = tc.Match16{Mask: 0x07}
	}
	less := m
	w.drop(&less)
	if w.name == tcpAndIPFlags && t.Proto != flows.TCP || less == m {
		return f, false
	}
	protocol := tc.ProtocolIPv4
	if c.Ref.Class.IsIPv6() {
		protocol = tc.ProtocolIPv6
	}
	cookie := eswitch.EncodeCookie(0, c.Session)
	return tc.Filter{
		Link: c.Ref.Link, Parent: tc.Ingress, Pref: probePreference + uint16(c.Ref.Class) - 1, Protocol: protocol,
		Kind: tc.KindFlower, Handle: c.Ref.Handle, Match: less, Flags: tc.SkipSW | tc.Verbose,
		Actions: []tc.Action{{Kind: tc.KindMirred, Verdict: tc.Stolen, Op: tc.EgressRedirect, Link: c.Rule.Out,
			Cookie: tc.NewCookie(cookie[:]), Flags: tc.NoPercpuStats}},
	}, true
}

// allRefused folds refusals that are all the same into one line.
func allRefused(results []classResult) (Line, bool) {
	if len(results) == 0 {
		return Line{}, false
	}
	for _, r := range results {
		if r.err == nil || ctxDone(r.err) || len(r.without) > 0 || words(r.err) != words(results[0].err) {
			return Line{}, false
		}
	}
	return warning("classes", "none is taken: %s", words(results[0].err)).
		why("hardware would take no rule of any kind here, whatever it matches"), true
}

func (r classResult) line() Line {
	name := "class " + r.class.String()
	switch {
	case r.err == nil:
		return ok(name, "taken")
	case ctxDone(r.err):
		return unknown(name, r.err)
	}
	l := warning(name, "refused: %s", words(r.err))
	if len(r.without) > 0 {
		l.Found += "; taken without " + strings.Join(r.without, ", or without ")
	}
	return l.why("such connections stay in the slow path, or in the kernel with --hardware=both; leaving a match out would let packets pass that must not")
}
