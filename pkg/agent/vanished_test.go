package agent

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/tc"
	"github.com/flowshunt/flowshunt/pkg/tc/tctest"
)

// woken counts how often something was asked for.
type woken chan struct{}

func (w woken) soon() { w <- struct{}{} }

func (w woken) times(n int) bool {
	for range n {
		select {
		case <-w:
		case <-time.After(patience):
			return false
		}
	}
	return true
}

func TestVanished(t *testing.T) {
	needNamespace(t)
	tctest.Veth(t, "p0", "p1")
	t.Cleanup(func() { tctest.Run(t, "ip link del p0") })
	deletions, err := tc.Watch()
	if err != nil {
		t.Fatal(err)
	}
	defer deletions.Close()
	ports, counter := make(woken, 100), make(woken, 100)
	v := &vanished{deletions: deletions, ports: ports, counter: counter, health: newComponent("tc-events", silent)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- v.run(ctx) }()

	tctest.Run(t, "tc qdisc add dev p0 root pfifo")
	tctest.Run(t, "tc qdisc add dev p0 clsact")
	tctest.Run(t, "tc chain add dev p0 ingress chain 5")
	tctest.Run(t, "tc qdisc del dev p0 root")
	tctest.Run(t, "tc chain del dev p0 ingress chain 5")
	if !counter.times(1) || len(ports) != 0 {
		t.Errorf("a chain: ports %d", len(ports))
	}
	tctest.Run(t, "tc qdisc del dev p0 clsact")
	if !ports.times(1) || !counter.times(1) {
		t.Error("a clsact is gone and nobody looks")
	}
	v.lookAtAll()
	if !ports.times(1) || !counter.times(1) {
		t.Error("something is gone and nobody looks")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// lostRules is an eswitch where rules are gone.
type lostRules struct{ reads chan struct{} }

func (l lostRules) Counters(ctx context.Context) ([]flows.SessionCounters, []flows.SessionID, error) {
	select {
	case l.reads <- struct{}{}:
		return nil, []flows.SessionID{7}, nil
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

// A reading that was asked for does not wait for the interval.
func TestCounterSoon(t *testing.T) {
	reads := make(chan struct{})
	loop := newLoop(newClock(), engine.New(engine.DefaultConfig()), func([]engine.Effect) {})
	c := &counter{eswitch: lostRules{reads}, loop: loop, interval: time.Hour,
		health: newComponent("eswitch", silent), now: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- c.run(ctx) }()
	for range 3 {
		c.soon()
		select {
		case <-reads:
		case <-time.After(patience):
			t.Fatal("no reading")
		}
	}
	eventually(t, "three readings told", func() bool { return loop.inbox.len() >= 3 })
	cancel()
	<-ended
	var told []string
	for _, m := range loop.inbox.take() {
		if ev, ok := m.event.(engine.RulesVanished); ok && ev.Sessions[0] == 7 {
			told = append(told, "7")
		}
	}
	if strings.Join(told, " ") != "7 7 7" {
		t.Errorf("told of %q", told)
	}
}
