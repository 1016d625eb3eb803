package e2e

import (
	"testing"
	"time"
)

// A rule of a security group is deleted: whatever it permitted is over, whoever talks,
// and stays over, although nobody but the agent can stop some of it. Put back, it
// permits new connections.
func TestOVNRevoke(t *testing.T) {
	r := newRevocation(newNeutronPair(t))
	all := r.begin(kinds...)
	e := r.servers.Remove(r.rule)
	d := r.denied(all, e, "sg-denied")
	d.lastByte = r.quiet(all, e, silence)
	t.Log(d)
	for _, c := range all {
		if client, server := r.marks(c); client != 0 || server != 1 {
			t.Errorf("%s: mark %d at the client's port and %d at the server's, want 0 and 1", c.name, client, server)
		}
	}
	r.permit()
	r.begin(kinds[0])
}

// The same many times, to see how long it takes.
func TestOVNRevokeTimes(t *testing.T) {
	slowly(t)
	const times = 20
	r := newRevocation(newNeutronPair(t))
	var all []took
	for range times {
		list := r.begin(kinds[0], kinds[2], kinds[6])
		e := r.servers.Remove(r.rule)
		d := r.denied(list, e, "sg-denied")
		d.lastByte = r.quiet(list, e, 2*time.Second)
		all = append(all, d)
		r.stop(list)
		r.permit()
	}
	spread(t, "command to last deletion", all, func(d took) time.Duration { return d.order })
	spread(t, "command to its return", all, func(d took) time.Duration { return d.stands })
	spread(t, "Northbound update to last deletion", all, func(d took) time.Duration { return d.nb })
	_, sb := spread(t, "Southbound update to last deletion", all, func(d took) time.Duration { return d.sb })
	spread(t, "return of the command to last byte", all, func(d took) time.Duration { return d.lastByte })
	if limit := 100 * time.Millisecond * emulated; sb > limit {
		t.Errorf("from the Southbound update to the last deletion: p95 %v, want at most %v", sb, limit)
	}
}

// emulated is how many times slower than a real machine the one of these stories is.
const emulated = 5
