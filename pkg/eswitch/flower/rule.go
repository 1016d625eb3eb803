package flower

import (
	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/tc"
)

// noControl matches TCP packets without FIN, SYN and RST: these must stay in
// sight of the slow path.
var noControl = tc.Match16{Value: 0, Mask: 0x07}

// preference returns where the rules of a class stand.
func (d *Driver) preference(c eswitch.Class) uint16 { return d.cfg.Preference + uint16(c) - 1 }

// classAt is the opposite of preference.
func (d *Driver) classAt(pref uint16) (eswitch.Class, bool) {
	n := int(pref) - int(d.cfg.Preference)
	return eswitch.Class(n + 1), n >= 0 && n < eswitch.Classes
}

func protocol(c eswitch.Class) uint16 {
	if c.IsIPv6() {
		return tc.ProtocolIPv6
	}
	return tc.ProtocolIPv4
}

// reference writes into f what identifies the filter.
func (d *Driver) reference(f *tc.Filter, ref eswitch.Ref) {
	f.Link, f.Parent, f.Chain, f.Handle = ref.Link, tc.Ingress, 0, ref.Handle
	f.Pref, f.Protocol, f.Kind = d.preference(ref.Class), protocol(ref.Class), tc.KindFlower
	f.Flags = d.flags
}

// encode writes the whole filter into f, which must have room for one action.
func (d *Driver) encode(f *tc.Filter, c *eswitch.Change) {
	d.reference(f, c.Ref)
	f.Match = matchOf(c.Rule)
	cookie := eswitch.EncodeCookie(d.cfg.Generation, c.Session)
	f.Actions = append(f.Actions[:0], redirect(c.Rule, tc.NewCookie(cookie[:])))
}

func matchOf(r flows.Rule) tc.Match {
	m := tc.Match{
		SrcMAC:  tc.ExactMAC(r.SrcMAC),
		DstMAC:  tc.ExactMAC(r.DstMAC),
		IPProto: uint8(r.Tuple.Proto),
		Src:     tc.ExactAddr(r.Tuple.Src),
		Dst:     tc.ExactAddr(r.Tuple.Dst),
		Frag:    tc.NoFragments,
	}
	if r.Tuple.Proto.HasPorts() {
		m.SrcPort, m.DstPort = tc.ExactPort(r.Tuple.SrcPort), tc.ExactPort(r.Tuple.DstPort)
	}
	if r.Tuple.Proto == flows.TCP {
		m.TCPFlags = noControl
	}
	return m
}

func redirect(r flows.Rule, cookie tc.Cookie) tc.Action {
	return tc.Action{
		Kind:    tc.KindMirred,
		Verdict: tc.Stolen,
		Op:      tc.EgressRedirect,
		Link:    r.Out,
		Cookie:  cookie,
		Flags:   tc.NoPercpuStats,
	}
}

// decode reads a filter into found and reports whether it is one of ours.
func (d *Driver) decode(f *tc.Filter, detail bool, found *eswitch.Found) bool {
	class, ok := d.classAt(f.Pref)
	if !ok || f.Kind != tc.KindFlower || f.Handle == 0 || len(f.Actions) == 0 {
		return false
	}
	*found = eswitch.Found{Ref: eswitch.Ref{Link: f.Link, Class: class, Handle: f.Handle}, Preference: f.Pref}
	for i := range f.Actions {
		generation, id, ours := eswitch.DecodeCookie(f.Actions[i].Cookie.Bytes())
		if !ours || i > 0 && id != found.Session {
			return false
		}
		found.Generation, found.Session = generation, id
	}
	stats := &f.Actions[0].Stats
	found.Count = flows.Counters(stats.Total)
	found.Hardware = flows.Counters(stats.Hardware)
	found.InHW = f.Flags&tc.InHW != 0
	if detail {
		found.Rule = ruleOf(f, found.Ref)
		found.Intact = d.intact(f, found.Rule)
	}
	return true
}

// ruleOf reads back what the rule was made from, as far as the filter tells.
func ruleOf(f *tc.Filter, ref eswitch.Ref) flows.Rule {
	m := &f.Match
	return flows.Rule{
		Dir:   ref.Dir(),
		In:    f.Link,
		Out:   f.Actions[0].Link,
		Frame: flows.Frame{SrcMAC: m.SrcMAC.Value, DstMAC: m.DstMAC.Value},
		Tuple: flows.Tuple{
			Src: m.Src.Value, Dst: m.Dst.Value,
			SrcPort: m.SrcPort.Value, DstPort: m.DstPort.Value,
			Proto: flows.Proto(m.IPProto),
		},
	}
}

// intact reports whether the filter is what this version makes of the rule.
func (d *Driver) intact(f *tc.Filter, r flows.Rule) bool {
	class, ok := eswitch.ClassOf(r.Tuple)
	at, _ := d.classAt(f.Pref)
	a := &f.Actions[0]
	return ok && class == at && f.Protocol == protocol(class) && f.Chain == 0 && !f.Partial &&
		f.Match == matchOf(r) && len(f.Actions) == 1 &&
		a.Kind == tc.KindMirred && a.Op == tc.EgressRedirect && a.Verdict == tc.Stolen && !a.Partial
}
