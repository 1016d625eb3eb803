package policy

import (
	"cmp"
	"net/netip"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
)

// Policy is an offload policy as it is understood.
type Policy struct {
	Name     string
	Priority uint16 // a higher one goes first
	Match    Match
	Verdict  flows.Verdict
	Terms    flows.Terms
}

// Match is a set of connections: all conditions must hold. Lists are sorted, have no value
// twice, and are nil where there is no condition.
type Match struct {
	Protocols          []flows.Proto
	Src, Dst           []netip.Prefix // masked
	SrcPorts, DstPorts []PortRange    // disjoint; of protocols with ports only
	Port               PortMatch
	DSCP               []uint8  // 0 to 63
	Applications       []string // lower case, Uninspectable among them
	ServerNames        []string // patterns: see names
}

// PortRange is the ports from First to Last, both included.
type PortRange struct{ First, Last uint16 }

// conditions returns how many values m has.
func (m *Match) conditions() int {
	return len(m.Protocols) + len(m.Src) + len(m.Dst) + len(m.SrcPorts) + len(m.DstPorts) + m.Port.conditions() +
		len(m.DSCP) + len(m.Applications) + len(m.ServerNames)
}

// before is the order of policies: a higher priority goes first, then names decide.
func (p *Policy) before(q *Policy) int {
	if c := cmp.Compare(q.Priority, p.Priority); c != 0 {
		return c
	}
	return strings.Compare(p.Name, q.Name)
}

// Profile is a decryption profile as it is understood: connections that the firewall can
// look into. It is one of those without conditions it does not have.
type Profile struct {
	Name        string
	Dst         []netip.Prefix
	DstPorts    []PortRange
	ServerNames []string

	doubtful bool // it stands for one that was not understood, and has less conditions
}

func (p *Profile) conditions() int { return len(p.Dst) + len(p.DstPorts) + len(p.ServerNames) }

// Problem says what is wrong with a policy or a profile.
type Problem struct {
	Profile bool // of a profile, else of a policy
	Name    string
	Text    string // depends on nothing but what is written
	// Instead is what is in force in its place, for a person. It depends on what was written
	// before, so that two agents can differ.
	Instead string
}
