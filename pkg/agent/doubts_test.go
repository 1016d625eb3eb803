package agent

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
)

// While OVS is being restored its tables say nothing, but not for ever: it may be
// running, and nobody have taken flow-restore-wait away.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, told := newTestDoubts(t)
		change := engine.PathsDoubted{Ports: []flows.PortID{1}}
		restoring := func(span time.Duration) {
			for range span / retryPorts {
				d.hold(true)
				time.Sleep(retryPorts)
			}
		}
		d.hold(true)
		d.raise("openflow", change)
		restoring(holdFor - retryPorts)
		if got := told(); len(got) > 0 {
			t.Fatalf("told %+v while OVS is being restored", got)
		}
		d.hold(false)
		if got := told(); len(got) != 1 {
			t.Fatalf("told %+v when it was restored", got)
		}
		time.Sleep(gatherFor)
		d.hold(true)
		d.raise("openflow", change)
		restoring(holdFor + retryPorts)
		if got := told(); len(got) != 1 {
			t.Fatalf("told %+v of what was held for %v", got, holdFor)
		}
		d.raise("openflow", change)
		if got := told(); len(got) != 1 {
			t.Errorf("told %+v after that", got)
		}
	})
}
