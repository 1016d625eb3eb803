package agent

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
)

// A kernel that cannot execute rules is told by an end with an error, at the first
// port that rules could stand on; anything else is asked again.
func TestProbeOnce(t *testing.T) {
	missing := fmt.Errorf("cls_flower: %w", eswitch.ErrNotSupported)
	for _, tt := range []struct {
		name    string
		reason  flows.Reason
		answers []error // to probes, in turn
		fatal   bool
		probes  int
	}{
		{"supported", "", []error{nil, missing}, false, 1},
		{"missing", "", []error{missing}, true, 1},
		{"unclear at first", "", []error{errors.New("EBUSY"), missing}, true, 2},
		{"no port to ask at", flows.PortOff, []error{missing}, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, _ := testPorts(true)
			probes := 0
			p.probe = func(context.Context, int32) error {
				probes++
				return tt.answers[probes-1]
			}
			var err error
			for range 2 {
				table := &portTable{list: []portStatus{status(1, 7, tt.reason)}, byID: make(map[flows.PortID]portStatus)}
				if err = p.probeOnce(t.Context(), table, p.prepare(t.Context(), table)); err != nil {
					break
				}
			}
			if (err != nil) != tt.fatal || probes != tt.probes {
				t.Errorf("error %v after %d probes, want fatal %v after %d", err, probes, tt.fatal, tt.probes)
			}
		})
	}
}
