package tap_test

import (
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/tap"
)

func TestTally(t *testing.T) {
	tuple, err := flows.ParseTuple("tcp,10.0.0.1:1,10.0.0.2:2")
	if err != nil {
		t.Fatal(err)
	}
	other := tuple.Reverse()
	tally := tap.Tally{Weight: 16, Max: 1}
	see := func(tuple flows.Tuple, flags uint8) {
		tally.Add(&tap.Sighting{Tuple: tuple, Length: 1000, TCPFlags: flags})
	}
	want := func(what string, tuple flows.Tuple, packets uint64) {
		t.Helper()
		if got := tally.Get(tuple); got != (flows.Counters{Packets: packets, Bytes: packets * 1000}) {
			t.Errorf("%s: %+v, want %d packets", what, got, packets)
		}
	}
	see(tuple, 0)
	see(tuple, 0)
	want("two sampled", tuple, 32)
	see(tuple, tap.FIN)
	see(tuple, tap.RST)
	want("control packets are not sampled", tuple, 32)
	see(other, 0)
	want("full", other, 0)
	tally.Age()
	want("asked for once", tuple, 32)
	tally.Age()
	want("asked for twice", tuple, 32)
	see(tuple, tap.SYN)
	want("another connection", tuple, 0)
	see(tuple, 0)
	tally.Age()
	tally.Age()
	want("forgotten", tuple, 0)
	see(other, 0)
	want("there is room again", other, 16)
}
