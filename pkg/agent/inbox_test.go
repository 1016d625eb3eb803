package agent

import (
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
)

// What security groups permit is not kept waiting by readings of many, of which one step
// takes but a portion; and nothing is lost or changes its order.
func TestInbox(t *testing.T) {
	b := newInbox()
	const readings = 40
	for i := range readings {
		b.put(message{at: flows.Instant(i + 1), event: engine.Counted{Sessions: make([]flows.SessionCounters, 1000)}})
	}
	b.put(message{event: engine.PermissionsChanged{Revision: 1}}, message{event: engine.PermissionsEnforced{Revision: 1}})
	if b.len() != readings+2 {
		t.Fatalf("%d wait", b.len())
	}
	var seen flows.Instant
	for step := 0; ; step++ {
		<-b.wake
		list := b.take()
		if step == 0 {
			if _, ok := list[0].event.(engine.PermissionsChanged); !ok {
				t.Errorf("the first is %T", list[0].event)
			}
			if _, ok := list[1].event.(engine.PermissionsEnforced); !ok {
				t.Errorf("the second is %T", list[1].event)
			}
			list = list[2:]
		}
		if len(list) > portion/1000+1 {
			t.Errorf("step %d took %d readings", step, len(list))
		}
		for _, m := range list {
			if seen++; m.at != seen {
				t.Fatalf("reading %d came at %d", m.at, seen)
			}
		}
		if seen == readings {
			break
		}
	}
	if b.len() != 0 || len(b.take()) != 0 {
		t.Error("something is left")
	}
}

// An inbox that is never empty keeps no room for what was taken.
func TestInboxThatIsNeverEmpty(t *testing.T) {
	b := newInbox()
	const together = portion / event
	for range 2 * together {
		b.put(message{event: engine.Lost{}})
	}
	for range 1000 {
		for range together {
			b.put(message{event: engine.Lost{}})
		}
		if n := len(b.take()); n != together || b.len() != 2*together {
			t.Fatalf("%d taken, %d left", n, b.len())
		}
	}
	if n := cap(b.others); n > 16*together {
		t.Errorf("room for %d, and %d wait", n, b.len())
	}
}
