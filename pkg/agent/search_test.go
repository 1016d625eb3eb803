package agent

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/link"
)

// Ports that stay none are looked at ever less often; a new device, or another port, is
// looked at at once.
func TestSearch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s search
		links := map[int32]link.State{7: {Life: 1}}
		table := &portTable{list: []portStatus{status(1, 7, flows.PortNotInHW), status(2, 6, "")}}
		looks := func(d time.Duration) (n int) {
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(retryPorts) {
				if s.due(table, links) {
					n++
				}
			}
			return n
		}
		want := func(when string, d time.Duration, least, most int) {
			t.Helper()
			if n := looks(d); n < least || n > most {
				t.Errorf("%s: %d looks in %v, want %d to %d", when, n, d, least, most)
			}
		}
		want("first", retryPorts, 1, 1)
		want("soon", 30*time.Second, 3, 5)
		want("an hour", time.Hour, 55, 65)
		links[9] = link.State{Life: 2}
		want("a new device", retryPorts, 1, 1)
		want("after it", 30*time.Second, 3, 5)
		table.list[1].reason = flows.PortNotInHW
		want("another port", retryPorts, 1, 1)
		table.list = nil
		want("no port", time.Hour, 0, 0)
	})
}
