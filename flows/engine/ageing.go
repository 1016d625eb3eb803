package engine

import (
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// recently is how long ago a packet of the slow path may be to have reminded OVS of
// where its sender is. It is far below any ageing time.
const recently = time.Second

// macAgeing leads the least valuable session that comes from a station through OVS,
// unless another one of its sessions is there already.
func (g *Engine) macAgeing(ev MACAgeing) {
	var least *session
	for _, s := range g.onPort[ev.Port] {
		d, from := s.dirFrom(ev)
		switch {
		case s.dead || !from:
			continue
		case s.state != Offloaded, s.slowAt[d] > 0 && g.now.Sub(s.slowAt[d]) <= recently:
			return
		case least == nil || moreValuable(least, s) < 0:
			least = s
		}
	}
	if least != nil {
		g.remove(least, flows.MACAgeing)
	}
}

// dirFrom returns the direction in which a session's packets come from a station: they come
// in from it, or go out as if they did, from a router.
func (s *session) dirFrom(ev MACAgeing) (flows.Dir, bool) {
	for d, p := range s.paths {
		if p.In == ev.Port && p.SrcMAC == ev.MAC || p.Out == ev.Port && p.Leaves().SrcMAC == ev.MAC {
			return flows.Dir(d), true
		}
	}
	return 0, false
}

// noteSlowPackets remembers in which direction conntrack saw packets of a session.
func (g *Engine) noteSlowPackets(s *session) {
	for d := range s.slowSeen {
		if n := s.slowPackets(flows.Dir(d)); n > s.slowSeen[d] {
			s.slowSeen[d], s.slowAt[d] = n, g.now
		}
	}
}
