package path

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/datapath"
	"github.com/flowshunt/flowshunt/pkg/megaflow"
	"github.com/flowshunt/flowshunt/pkg/ofproto"
)

// plainSwitch is a datapath with ports 1 to 3 that sends what enters at 1 to one of
// them, and an OVS that would send it to another one.
type plainSwitch struct {
	flows, traces uint32        // where to
	reading       chan struct{} // Ports waits for it; nil: it does not
	began         chan struct{} // is told before
	perPort       bool          // OVS looks at the source port
	reads, asked  int
}

func (s *plainSwitch) Ports(ctx context.Context) ([]datapath.Port, error) {
	if s.reading != nil {
		s.began <- struct{}{}
		select {
		case <-s.reading:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return []datapath.Port{{Number: 1, Name: "p1"}, {Number: 2, Name: "p2"}, {Number: 3, Name: "p3"}}, nil
}

func (s *plainSwitch) Flows(context.Context) ([]megaflow.Flow, error) {
	s.reads++
	return []megaflow.Flow{flowTo(s.flows)}, nil
}

func (s *plainSwitch) Follow(_ context.Context, q ofproto.Query, _ megaflow.Connection) (*ofproto.Trace, error) {
	s.asked++
	f := flowTo(s.traces)
	if s.perPort {
		f.Match.SetUint(megaflow.TPSrc, uint64(q.Tuple.SrcPort), 0xffff)
	}
	return &ofproto.Trace{Stages: []megaflow.Flow{f}, Plain: true}, nil
}

func flowTo(out uint32) megaflow.Flow {
	f := megaflow.Flow{Actions: []megaflow.Action{megaflow.Output{Port: out}}}
	f.Match.SetUint(megaflow.RecircID, 0, 1<<32-1)
	f.Match.SetUint(megaflow.InPort, 1, 1<<32-1)
	return f
}

func newPlainJudge(s *plainSwitch) (*Judge, Question) {
	j := NewJudge(JudgeConfig{Datapath: s, Tracer: s})
	p1 := Port{ID: 11, Name: "p1", Bridge: "br0", Ofport: 1}
	j.SetPorts(NewPorts([]Port{p1, {ID: 12, Name: "p2", Bridge: "br0", Ofport: 2}, {ID: 13, Name: "p3", Bridge: "br0", Ofport: 3}}))
	return j, Question{In: &p1, Frame: between(macA, macB)}
}

func (s *plainSwitch) goes(t *testing.T, j *Judge, q Question, at flows.Instant, want flows.PortID) {
	t.Helper()
	q.Tuple = mustTuple(t, "tcp,10.0.0.1:40000,10.0.0.2:5201")
	got, err := j.Forward(t.Context(), q, at)
	if err != nil || got.Out != want {
		t.Fatalf("at %v: port %d, %v, want port %d", time.Duration(at), got.Out, err, want)
	}
}

// Flows that were read before a doubt answer nothing after it, however long they are
// kept because it takes long to read them.
func TestFlowsFromBeforeADoubt(t *testing.T) {
	s := &plainSwitch{flows: 2, traces: 2}
	j, q := newPlainJudge(s)
	s.goes(t, j, q, now, 12)
	j.megaflows.keep = time.Minute // as after a reading of 12 s
	s.goes(t, j, q, now.Add(time.Second), 12)
	if s.reads != 1 {
		t.Fatalf("flows were read %d times", s.reads)
	}
	doubt := now.Add(2 * time.Second)
	j.Doubt(doubt)
	s.flows, s.traces = 3, 3
	s.goes(t, j, q, doubt.Add(settled/2), 13)
	if s.reads != 1 {
		t.Errorf("flows were read %d times while they may be old", s.reads)
	}
	s.goes(t, j, q, doubt.Add(settled+time.Millisecond), 13)
}

// A doubt is told at once, and what was being read meanwhile is not kept.
func TestDoubtWaitsForNobody(t *testing.T) {
	s := &plainSwitch{traces: 2, reading: make(chan struct{}), began: make(chan struct{})}
	j, q := newPlainJudge(s)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = j.Forward(t.Context(), q, now)
	}()
	<-s.began
	doubted := make(chan struct{})
	go func() {
		defer close(doubted)
		j.Doubt(now)
	}()
	select {
	case <-doubted:
	case <-time.After(10 * time.Second):
		t.Error("the doubt waits for the kernel")
	}
	close(s.reading)
	<-ended
	<-doubted
	if j.numbers.known != nil {
		t.Error("ports that were read before the doubt are kept")
	}
}

// Traces that hold for one connection each do not pile up, and those of other stations
// are not in the way.
func TestChainsAreBounded(t *testing.T) {
	s := &plainSwitch{traces: 2, perPort: true}
	j, q := newPlainJudge(s)
	other := q
	other.DstMAC = macY
	s.goes(t, j, other, 1, 12)
	for port := range 10 * maxPerKey {
		q.Tuple = mustTuple(t, fmt.Sprintf("tcp,10.0.0.1:%d,10.0.0.2:5201", 10000+port))
		if _, err := j.Forward(t.Context(), q, 1); err != nil {
			t.Fatal(err)
		}
		for key, chains := range j.chains.known {
			if len(chains) > maxPerKey {
				t.Fatalf("%d chains for %+v", len(chains), key)
			}
		}
	}
	if j.chains.size > 1+maxPerKey {
		t.Errorf("counts %d", j.chains.size)
	}
	asked := s.asked
	s.goes(t, j, other, 1, 12)
	if s.asked != asked {
		t.Error("the trace of other stations was forgotten")
	}
}
