package path

import (
	"context"
	"errors"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/datapath"
	"github.com/flowshunt/flowshunt/pkg/megaflow"
	"github.com/flowshunt/flowshunt/pkg/ofproto"
)

// word is what a fake OVS says of what enters p1, which is port 11 of its datapath, by
// its flows and when it is asked.
type word struct {
	flows, trace       []megaflow.Flow
	flowsErr, traceErr error
	groups             bool
}

// sends returns flows that track in zone 5 and then do as told.
func sends(then ...megaflow.Action) []megaflow.Flow {
	first := megaflow.Flow{Actions: []megaflow.Action{megaflow.CT{Zone: 5}, megaflow.Recirc{ID: 3}}}
	first.Match.SetUint(megaflow.RecircID, 0, 1<<32-1)
	first.Match.SetUint(megaflow.InPort, 11, 1<<32-1)
	second := megaflow.Flow{Actions: then}
	second.Match.SetUint(megaflow.RecircID, 3, 1<<32-1)
	second.Match.SetUint(megaflow.InPort, 11, 1<<32-1)
	return []megaflow.Flow{first, second}
}

func (w *word) Ports(context.Context) ([]datapath.Port, error) {
	return []datapath.Port{{Number: 11, Name: "p1"}, {Number: 12, Name: "p2"}, {Number: 13, Name: "p3"}}, nil
}

func (w *word) Flows(context.Context) ([]megaflow.Flow, error) { return w.flows, w.flowsErr }

func (w *word) Follow(context.Context, ofproto.Query, megaflow.Connection) (*ofproto.Trace, error) {
	return &ofproto.Trace{Stages: w.trace, Plain: true, Groups: w.groups}, w.traceErr
}

// What OVS says, and what its datapath does, must be the same.
func TestJudge(t *testing.T) {
	away := errors.New("no OVS")
	to := func(port uint32) []megaflow.Flow { return sends(megaflow.Output{Port: port}) }
	vlan := megaflow.Unsupported{Reason: flows.UnsupportedVLAN, Name: "push_vlan"}
	tests := []struct {
		name string
		word word
		want flows.Reason
		err  error
		// Within the time after a change in which the datapath may be behind.
		changed flows.Reason
	}{
		{name: "both", word: word{flows: to(12), trace: to(12)}},
		{name: "the datapath has no flow", word: word{trace: to(12)}},
		{name: "the datapath sends it elsewhere", word: word{flows: to(13), trace: to(12)}, want: flows.PathUnknown},
		{name: "the datapath drops it", word: word{flows: sends(), trace: to(12)}, want: flows.PathDropped},
		{name: "the datapath tags it", word: word{flows: sends(vlan, megaflow.Output{Port: 12}), trace: to(12)}, want: flows.UnsupportedVLAN},
		{name: "OVS drops it", word: word{flows: to(12), trace: sends()}, want: flows.PathDropped, changed: flows.PathDropped},
		{name: "OVS does not tell", word: word{flows: to(12), traceErr: ofproto.ErrFailed}, want: flows.PathUnknown, changed: flows.PathUnknown},
		{name: "OVS is away", word: word{flows: to(12), traceErr: away}, err: away},
		{name: "a group", word: word{trace: to(12), groups: true}, want: flows.UnsupportedGroup, changed: flows.UnsupportedGroup},
		{name: "a port of nobody", word: word{trace: to(99)}, want: flows.PathUnknown, changed: flows.PathUnknown},
	}
	tuple := mustTuple(t, "tcp,10.0.0.1:1,10.0.0.2:2")
	for _, test := range tests {
		ports := NewPorts([]Port{{ID: 1, Name: "p1", Bridge: "br0", Ofport: 1}, {ID: 2, Name: "p2", Bridge: "br0", Ofport: 2}})
		q := Question{In: ports.byID[1], Frame: between(macA, macB), Tuple: tuple, States: standing(tuple, 5)}
		for _, changed := range []bool{false, true} {
			j := NewJudge(JudgeConfig{Datapath: &test.word, Tracer: &test.word})
			j.SetPorts(ports)
			want := test.want
			if changed {
				j.Doubt(now.Add(-settled))
				want = test.changed
			}
			got, err := j.Forward(t.Context(), q, now)
			if reasonOf(err) != want || test.err != nil && !errors.Is(err, test.err) || err != nil && want == "" && test.err == nil || err == nil && (got.Out != 2 || !got.Plain || len(got.Stands) != 1) {
				t.Errorf("%s (just changed: %t): %+v, %v, want %q", test.name, changed, got, err, want)
			}
		}
	}
}

// A mark that a trace was not given cannot be matched by what it says.
func TestJudgeTriesMarks(t *testing.T) {
	w := &word{}
	w.trace = sends(megaflow.Output{Port: 12})
	w.trace[1].Match.SetUint(megaflow.CTMark, 7, 0xff)
	j := NewJudge(JudgeConfig{Datapath: w, Tracer: w})
	ports := NewPorts([]Port{{ID: 1, Name: "p1"}, {ID: 2, Name: "p2"}})
	j.SetPorts(ports)
	q := Question{In: ports.byID[1], Frame: between(macA, macB), Tuple: mustTuple(t, "tcp,10.0.0.1:1,10.0.0.2:2")}
	for mark, want := range map[uint32]flows.Reason{0x107: "", 8: flows.PathUnknown} {
		q.States = standing(q.Tuple, 6, 5)
		q.States[1].Mark = mark
		if got, err := j.Forward(t.Context(), q, now); reasonOf(err) != want {
			t.Errorf("mark %#x: %+v, %v, want %q", mark, got, err, want)
		}
	}
}
