package cli

import (
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/control"
)

// A port that nobody expects to be used is no problem.
func TestPortProblems(t *testing.T) {
	for reason, problem := range map[flows.Reason]bool{
		flows.PortOff: false, flows.PortUnchosen: false, flows.UnsupportedInternal: false,
		flows.UnsupportedPatch: false, flows.UnsupportedTunnel: false,
		flows.PortDown: true, flows.PortQoS: true, flows.PortUnready: true, flows.UnsupportedBond: true,
	} {
		st := control.Status{Ready: true, Ports: []control.Port{{Name: "p0", Reason: reason}}}
		if got := problems(&st); (len(got) > 0) != problem {
			t.Errorf("%s: problems %q", reason, got)
		}
	}
}
