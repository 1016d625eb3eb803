package e2e

import (
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// streamTimeout is how long the kernel keeps a UDP entry whose packets it does
// not see.
const streamTimeout = 5 * time.Second

// ended is what conntrack -E writes of the stream's entry.
var ended = regexp.MustCompile(`sport=42000 `)

// udpStream is a paced stream and its echo.
func udpStream(t *testing.T, flags ...string) (*harness.Pair, *harness.Agent, *flow, *harness.Process) {
	w := harness.SwitchedPair(t)
	setSysctl(w.World, "net.netfilter.nf_conntrack_udp_timeout_stream", fmt.Sprint(streamTimeout.Seconds()))
	a := startAgent(w.World, append(modest, flags...)...)
	ends := watchDestroyed(w.World, "udp")
	w.B.Listen(t, "udp", 9000, true)
	return w, a, elephantFlow(w, "udp", 42000), ends
}

// What the hardware forwards stays alive in conntrack, and nothing longer.
func TestUDPKeepAlive(t *testing.T) {
	betterOnEswsim(t)
	const idle = 4 * time.Second
	w, a, f, ends := udpStream(t, "--idle="+idle.String())
	c := offloaded(w.World, f.tuple)
	entry, eyes := w.Entry(f.filter...), watchSlowPath(w.World, f.filter, 42000, 9000, w.A, w.B)
	offloadedAt := moved(w)
	harness.Throughout(t, 3*streamTimeout+time.Second, "the entry lives", func() error {
		if e := ends.Output(); ended.MatchString(e) {
			return fmt.Errorf("it ended: %s", e)
		}
		return nil
	})
	bytes := moved(w) - offloadedAt
	eyes.saw(3)
	if now := w.Entry(f.filter...); now.ID != entry.ID || bytes < paced {
		t.Errorf("%d bytes moved in hardware; entry then %+v, now %+v", bytes, entry, now)
	}
	if now := offloaded(w.World, f.tuple); now.ID != c.ID {
		t.Errorf("session %s, then %s", c.ID, now.ID)
	}

	stopping := time.Now()
	f.Stop()
	stopped := time.Now()
	at := left(t, a, c, "idle")
	if at.Before(stopping.Add(idle-time.Second)) || at.After(stopped.Add(idle+3*time.Second)) {
		t.Errorf("left between %v and %v after the last packet, want %v", at.Sub(stopped), at.Sub(stopping), idle)
	}
	rulesWithin(t, w.World, 2*time.Second, 0)
	ends.WaitOutput(t, 2*streamTimeout+patience, ended.String())
	t.Logf("idle after %v, entry gone after %v", at.Sub(stopped), time.Since(stopped))
	harness.Within(t, patience, "the agent forgets it", func() error {
		for _, c := range connections(w.World) {
			if c.Tuple == f.tuple {
				return fmt.Errorf("%+v", c)
			}
		}
		return nil
	})
}

// The control run: without the keepalive the same entry dies under the traffic,
// and the rules with it.
func TestUDPWithoutKeepAlive(t *testing.T) {
	slowly(t)
	w, a, f, ends := udpStream(t, "--keepalive=false")
	c := offloaded(w.World, f.tuple)
	ends.WaitOutput(t, 2*streamTimeout+patience, ended.String())
	left(t, a, c, "gone")
	if !f.Running() {
		t.Error("the stream has ended: what expired proves nothing")
	}
}
