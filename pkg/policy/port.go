package policy

import (
	"fmt"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
)

// Port is what conditions look at of an OVS port.
type Port struct {
	ID      flows.PortID
	Name    string
	IfaceID string // external_ids:iface-id; empty: it is none of the cloud's
	// Tenant and SecurityGroups are what the cloud's network service says. Without an IfaceID
	// there are none.
	Tenant, SecurityGroups Names
}

func (p *Port) equal(q *Port) bool {
	return p.ID == q.ID && p.Name == q.Name && p.IfaceID == q.IfaceID &&
		p.Tenant.equal(&q.Tenant) && p.SecurityGroups.equal(&q.SecurityGroups)
}

// PortMatch is a set of ports: all conditions must hold. A policy matches a connection when
// one of its two ends is such a port.
type PortMatch struct {
	Names, IfaceIDs         []string // globs: see glob
	SecurityGroups, Tenants []string
}

func (m *PortMatch) conditions() int {
	return len(m.Names) + len(m.IfaceIDs) + len(m.SecurityGroups) + len(m.Tenants)
}

func (m *PortMatch) isAny() bool { return m.conditions() == 0 }

// matches judges a port.
func (m *PortMatch) matches(p *Port) truth {
	if !anyGlob(m.Names, p.Name) || len(m.IfaceIDs) > 0 && p.IfaceID == "" || !anyGlob(m.IfaceIDs, p.IfaceID) {
		return no
	}
	result := yes
	if len(m.Tenants) > 0 {
		result = min(result, p.called(&p.Tenant, m.Tenants))
	}
	if len(m.SecurityGroups) > 0 {
		result = min(result, p.called(&p.SecurityGroups, m.SecurityGroups))
	}
	return result
}

func (p *Port) called(n *Names, values []string) truth {
	if p.IfaceID == "" {
		return no
	}
	return n.has(values)
}

// truth is one of three values.
type truth uint8

const (
	no truth = iota
	maybe
	yes
)

// anyGlob reports whether one of globs fits, or there is none.
func anyGlob(globs []string, s string) bool {
	return len(globs) == 0 || slices.ContainsFunc(globs, func(g string) bool { return glob(g, s) })
}

// glob reports whether s fits a pattern in which * stands for any bytes, none included, and
// ? for one. It goes back to the last * only, so that no pattern is slow.
func glob(pattern, s string) bool {
	p, i, star, mark := 0, 0, -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// key is the same for equal conditions only.
func (m *PortMatch) key() string {
	return fmt.Sprintf("%q%q%q%q", m.Names, m.IfaceIDs, m.SecurityGroups, m.Tenants)
}
