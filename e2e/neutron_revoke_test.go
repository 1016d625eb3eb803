package e2e

import (
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// served are two machines of a network of a neutron-server's, and what the server knows
// of their security groups.
type served struct {
	*neutronPair
	server *harness.NeutronServer
	egress string // rule by which the client may send
	group  string // security group of the server's machine
	rule   string // by which that gets what is sent to it
}

func newServed(t *testing.T) *served {
	t.Helper()
	w := harness.New(t)
	ovn := w.BareOVN()
	s := harness.StartNeutronServer(t, w.Dir, ovn.NB(), ovn.SB())
	network := s.Network("net1")
	s.Subnet(network, "10.0.0.0/24")
	clients, servers := s.SecurityGroup("clients"), s.SecurityGroup("servers")
	p := &neutronPair{ovn: ovn, a: s.AddVM(ovn, network, "vm1", clients), b: s.AddVM(ovn, network, "vm2", servers)}
	p.Pair = &harness.Pair{World: w, A: p.a.VM, B: p.b.VM}
	own := s.Rules(clients)
	i := slices.IndexFunc(own, func(r harness.NeutronRule) bool { return r.Direction == "egress" && r.EtherType == "IPv4" })
	if i < 0 {
		t.Fatalf("a new security group has the rules %+v", own)
	}
	return &served{neutronPair: p, server: s, egress: own[i].ID, group: servers}
}

// permit asks the server to let the machine get what is sent to its port.
func (p *served) permit() {
	p.T.Helper()
	p.rule = p.server.Rule(harness.NeutronRule{
		Group: p.group, Direction: "ingress", Protocol: "tcp", PortMin: talkPort, PortMax: talkPort, RemotePrefix: "10.0.0.0/24",
	})
	p.ovn.Sync()
}

// revoke undoes permit. It stands, for who has asked, when the server has answered.
func (p *served) revoke() harness.Enforced {
	p.T.Helper()
	ordered := time.Now()
	p.server.DeleteRule(p.rule)
	return harness.Enforced{Ordered: ordered, Stands: time.Now()}
}

// The whole way: somebody deletes a rule by the API of a real neutron-server, and what
// it permitted leaves the eswitch, for how long that takes there, in OVN and in the agent.
func TestNeutronRevoke(t *testing.T) {
	slowly(t)
	p := newServed(t)
	r := newRevocation(p.neutronPair)
	const times = 20
	var all []took
	for range times {
		p.permit()
		list := r.begin(kinds[0])
		e := p.revoke()
		d := r.denied(list, e, "sg-denied")
		p.ovn.Sync() // the answer is no promise that the slow path denies
		stood := harness.Enforced{Ordered: e.Ordered, Stands: time.Now()}
		d.lastByte = r.quiet(list, stood, deniedWithin+time.Second, 2) + stood.Stands.Sub(e.Stands)
		all = append(all, d)
		r.stop(list)
	}
	askedInTime(t, all)
	southboundInTime(t, all)
	r.agent.Stop()

	// the Northbound database names the rules
	r.agent = startAgent(p.World, append(byGroups, "--ovn-nb="+p.ovn.NB())...)
	p.permit()
	list := r.begin(kinds[0])
	mustMatch(t, whyText(r.World, list[0].tuple), `is OFFLOADED`, regexp.QuoteMeta(p.rule), regexp.QuoteMeta(p.egress))
	r.denied(list, p.revoke(), "sg-denied")
	mustMatch(t, whyText(r.World, list[0].tuple), `is NOT OFFLOADED: sg-denied`, regexp.QuoteMeta(p.rule))
}

// askedInTime tells how long it took who asked the server, and fails where that is more
// than an emulated machine needs, whose server is the slowest of all by far.
func askedInTime(t *testing.T, all []took) {
	t.Helper()
	spread(t, "REST request to its answer", all, func(d took) time.Duration { return d.stands })
	spread(t, "Northbound update to last deletion", all, func(d took) time.Duration { return d.nb })
	spread(t, "REST answer to last byte", all, func(d took) time.Duration { return d.lastByte })
	const request, answer = 4 * time.Second, time.Second
	if _, p95 := spread(t, "REST request to last deletion", all, func(d took) time.Duration { return d.order }); p95 > request {
		t.Errorf("from the REST request to the last deletion: p95 %v, want at most %v", p95, request)
	}
	if _, p95 := spread(t, "REST answer to last deletion", all, func(d took) time.Duration { return d.order - d.stands }); p95 > answer {
		t.Errorf("from the REST answer to the last deletion: p95 %v, want at most %v", p95, answer)
	}
}
