package e2e

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// Of many connections exactly the elephants leave the slow path.
func TestManyConnections(t *testing.T) {
	betterOnEswsim(t)
	const count, every, first = 50, 5, 44000
	w := harness.SwitchedPair(t)
	startAgent(w.World, modest...)
	w.B.Listen(t, "tcp", 9000, true)
	p := w.A.Dial(t, "tcp", netip.AddrPortFrom(w.B.IP4, 9000), first, count)
	elephants := 0
	for i := range count {
		if i%every == 0 {
			p.Do(i+1, fmt.Sprintf("send %d %d", endless, paced/2))
			elephants++
		} else {
			p.Do(i+1, "chat 250")
		}
	}
	rulesWithin(t, w.World, 2*patience, 2*elephants)
	harness.Throughout(t, 5*pollInterval, "only the elephants are offloaded", func() error {
		list := connections(w.World)
		explained := 0
		for _, c := range list {
			if c.SrcPort < first || c.SrcPort >= first+count {
				continue
			}
			explained++
			state, verdict, reason := "following", "inspect", "mouse"
			if (c.SrcPort-first)%every == 0 {
				state, verdict, reason = "offloaded", "offload", "elephant"
			}
			if c.State != state || c.Verdict != verdict || c.Reason != reason {
				return fmt.Errorf("%+v: want %s, %s for %s", c, state, verdict, reason)
			}
		}
		if explained != count {
			return fmt.Errorf("%d of %d connections in %+v", explained, count, list)
		}
		return nil
	})
	for _, r := range w.Rules() {
		if r.Packets() == 0 {
			t.Errorf("%v: no hits", r)
		}
	}
	p.Stop()
	rulesWithin(t, w.World, 5*time.Second, 0)
}
