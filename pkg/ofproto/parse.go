package ofproto

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/megaflow"
)

// Bounds of an answer: OVS stops a translation after 4,096 resubmits, about 400 kB
// of text.
const (
	maxAnswer = 4 << 20
	maxStages = 64
)

const slowPath = "This flow is handled by the userspace slow path because it:"

var rule = strings.Repeat("=", 79)

// parser reads an answer line by line; the first thing wrong in it sticks.
type parser struct {
	query *Query
	rest  string
	more  bool            // rest is not used up; "" may be one more, empty, line
	last  stage           // that is being read
	done  []stage         // before it
	open  map[uint32]bool // recirculation ids by whether their stage is still to come
	err   error
}

// stage is one flow, and what of a Trace is true of it.
type stage struct {
	flow          megaflow.Flow
	plain, groups bool
	relaxed       bool // see megaflow.Flow.Relax
}

// parse reads all stages of an answer.
func parse(q *Query, text string) (*Trace, error) {
	stages, err := parseStages(q, text, true)
	if err != nil {
		return nil, err
	}
	return traceOf(stages), nil
}

func traceOf(stages []stage) *Trace {
	trace := &Trace{Plain: true}
	for _, s := range stages {
		trace.Stages = append(trace.Stages, s.flow)
		trace.Plain = trace.Plain && s.plain
		trace.Groups = trace.Groups || s.groups
	}
	return trace
}

// parseStages reads the stages of an answer: all of them, or those up to the first one
// with which something is wrong that is not the first.
func parseStages(q *Query, text string, all bool) ([]stage, error) {
	if len(text) > maxAnswer {
		return nil, fmt.Errorf("%w: %d bytes long", ErrFormat, len(text))
	}
	p := &parser{query: q, rest: strings.TrimSuffix(text, "\n"), more: true, open: map[uint32]bool{}}
	for p.stage(q.recircID()); p.more && p.err == nil; {
		p.stage(p.heading())
	}
	if p.err != nil && !all && len(p.done) > 0 {
		return p.done, nil
	}
	if all {
		p.followed()
	}
	return p.done, p.err
}

func (p *parser) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

func (p *parser) failf(format string, args ...any) {
	p.fail(fmt.Errorf("%w: %s", ErrFormat, fmt.Sprintf(format, args...)))
}

func (p *parser) refuse(reason flows.Reason, detail string) {
	p.fail(&megaflow.Refusal{Reason: reason, Detail: clip(detail)})
}

// clip bounds what of an answer gets into an error.
func clip(s string) string { return s[:min(len(s), 200)] }

// line takes the next line.
func (p *parser) line() (line string) {
	if !p.more || p.err != nil {
		p.failf("it ends early")
		return ""
	}
	line, p.rest, p.more = strings.Cut(p.rest, "\n")
	return line
}

// after takes the next line, which starts with prefix, and returns the rest of it.
func (p *parser) after(prefix string) string {
	line := p.line()
	rest, ok := strings.CutPrefix(line, prefix)
	if !ok {
		p.failf("%q instead of %q", clip(line), prefix)
	}
	return rest
}

func (p *parser) exactly(want string) {
	if rest := p.after(want); rest != "" {
		p.failf("%q behind %q", clip(rest), want)
	}
}

// followed checks that nothing is missing: OVS traces only the recirculations of
// conntrack, not those of groups, bonds and MPLS.
func (p *parser) followed() {
	for _, id := range slices.Sorted(maps.Keys(p.open)) {
		switch {
		case !p.open[id]:
		case slices.ContainsFunc(p.done, func(s stage) bool { return s.groups }):
			p.refuse(flows.UnsupportedGroup, fmt.Sprintf("the trace ends at recirc(%#x)", id))
		default:
			p.refuse(flows.UnsupportedAction, fmt.Sprintf("the trace ends at recirc(%#x)", id))
		}
	}
}

// heading reads what is between two stages and returns the recirculation id of the
// second one.
func (p *parser) heading() uint32 {
	p.last.plain = true
	p.exactly("")
	p.exactly(rule)
	text, how, _ := strings.Cut(p.after("recirc("), ")")
	id, err := number(text, 32)
	_, known := p.open[uint32(id)]
	switch {
	case p.err != nil:
	case err != nil || id == 0 || !known:
		p.failf("recirc(%s) comes from nowhere", clip(text))
	case strings.HasPrefix(how, " - resume conntrack with default ct_state="):
		p.fail(ErrStages)
	case how != " - resume conntrack with ct_state="+p.query.state("|"):
		p.failf("recirc(%s)%s", clip(text), clip(how))
	}
	if strings.HasPrefix(p.rest, "Replacing ") {
		p.exactly("Replacing src/dst IP/ports to simulate NAT:")
		p.last.plain = p.after(" Initial flow: ") == p.after(" Modified flow: ")
	}
	p.exactly(rule)
	p.exactly("")
	return uint32(id)
}

// stage reads one flow, that of a recirculation id.
func (p *parser) stage(id uint32) {
	if len(p.done) == 0 {
		p.last.plain = true
	}
	p.after("Flow: ")
	p.steps()
	text := p.after("Megaflow: ")
	match, err := parseMatch(text)
	if err != nil {
		p.fail(err)
	}
	if name := unmatched(text); name != "" && !p.query.Tunnel.IsZero() {
		p.refuse(flows.UnsupportedTunnel, "OVS looks at "+name)
	}
	p.tie(&match, id)
	actions, ids, err := parseActions(p.after("Datapath actions: "))
	if err != nil {
		p.fail(err)
	}
	if p.more && strings.HasPrefix(p.rest, "Translation failed") {
		p.fail(fmt.Errorf("%w: %s", ErrFailed, clip(p.line())))
	}
	if reasons := p.slow(); reasons != "" {
		actions = append([]megaflow.Action{megaflow.Unsupported{Reason: flows.UnsupportedUpcall, Name: reasons}}, actions...)
	}
	p.open[id] = false
	for _, next := range ids {
		if _, known := p.open[next]; !known {
			p.open[next] = true
		}
	}
	if p.last.flow = (megaflow.Flow{Match: match, Actions: actions}); len(p.done) == maxStages {
		p.fail(ErrStages)
	}
	if p.err == nil {
		p.done = append(p.done, p.last)
	}
	p.last = stage{}
}

// tie checks that a flow is the one of its stage. The first one holds for the port, the
// tags and the tunnel that were asked about; those behind a recirculation for whatever
// comes there.
func (p *parser) tie(m *megaflow.Match, id uint32) {
	if uint32(m.Key.Uint(megaflow.RecircID)) != id || m.Mask.Uint(megaflow.RecircID) != 1<<32-1 {
		p.failf("the megaflow is not that of recirc(%#x)", id)
	}
	// Tunnels of several OpenFlow ports come in at one port of the datapath.
	tunnelled := !p.query.Tunnel.IsZero() && p.query.Datapath != nil
	if id == 0 && !tunnelled && m.Mask.Uint(megaflow.InPort) != 0 && uint32(m.Key.Uint(megaflow.InPort)) != p.query.InPort {
		p.failf("the megaflow is not that of port %d", p.query.InPort)
	}
	switch {
	case id != 0:
		m.SetUint(megaflow.InPort, 0, 0)
	case p.query.Datapath != nil:
		m.SetUint(megaflow.InPort, uint64(p.query.Datapath.Port), 1<<32-1)
	}
	if id == 0 {
		m.SetOutside(p.query.Frame)
	}
}

// slow reads why OVS keeps all packets of a flow to itself, if it does.
func (p *parser) slow() string {
	if !p.more || !strings.HasPrefix(p.rest, slowPath) {
		return ""
	}
	p.exactly(slowPath)
	reasons := "slow path:"
	for p.more && strings.HasPrefix(p.rest, "  - ") {
		reasons = clip(reasons + " " + p.after("  - "))
	}
	return reasons
}
