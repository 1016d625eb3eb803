package agent

import (
	"slices"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/link"
)

// searchMax is the longest time between two looks for representors.
const searchMax = time.Minute

// search says when to look again at ports that should be representors and are none: what
// makes a device one may come without a notification, most often soon after the device.
// A veth never becomes one, so looks become rare while nothing changes. The zero value
// has not looked yet.
type search struct {
	refused []int32 // the ports at the last time
	newest  uint64  // link.State.Life, at the last time
	pause   time.Duration
	next    time.Time
}

// due reports whether to look now.
func (s *search) due(t *portTable, links map[int32]link.State) bool {
	refused := t.refused(flows.PortNotInHW)
	newest := uint64(0)
	for _, l := range links {
		newest = max(newest, l.Life)
	}
	now := time.Now()
	if !slices.Equal(refused, s.refused) || newest != s.newest {
		*s = search{refused: refused, newest: newest, next: now}
	}
	if len(refused) == 0 || now.Before(s.next) {
		return false
	}
	s.pause = min(max(2*s.pause, retryPorts), searchMax)
	s.next = now.Add(s.pause)
	return true
}
