package e2e

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// What Suricata must never let through, and by which rule.
const (
	forbidden    = "FORBIDDEN-WORD"
	forbiddenSID = 1
)

var forbid = harness.SuricataConfig{Rules: []string{
	fmt.Sprintf(`drop tcp any any -> any any (msg:"forbidden"; content:"%s"; sid:%d; rev:1;)`, forbidden, forbiddenSID),
}}

// Settings that an operator has to choose: docs/inspectors.md.
var chosen = []string{"stream.drop-invalid=no", "stream.midstream=true", "stream.midstream-policy=ignore"}

// returning is a connection that was bypassed for a while.
type returning struct {
	*transfer
	w *harness.Inspected
}

// bypassed opens connections and moves bytes of each past Suricata.
func bypassed(w *harness.Inspected, l *harness.Peer, bytes int64, sports ...uint16) []*returning {
	t := w.T
	t.Helper()
	var all []*returning
	for _, sport := range sports {
		c := &returning{newTransfer(w.Pair, l, sport), w}
		c.send(300_000)
		all = append(all, c)
	}
	for _, c := range all {
		c.inspected()
		w.Bypass(c.sport)
	}
	start := time.Now()
	for _, c := range all {
		c.send(bytes)
	}
	for _, c := range all {
		c.inspected()
		if past := c.bypassed(); past < bytes {
			t.Fatalf("%s: %d of %d bytes past Suricata", c.tuple, past, bytes)
		}
	}
	t.Logf("%d connections moved %d MB each past Suricata in %v", len(all), bytes/1e6, time.Since(start).Round(time.Second))
	return all
}

// inspected waits until all has arrived.
func (c *returning) inspected() {
	c.w.T.Helper()
	c.A.EventWith(5*time.Minute, c.a, "sent", func(e harness.Event) bool { return e.Sent == c.total })
	c.whole()
}

func (c *returning) whole() {
	c.w.T.Helper()
	harness.Within(c.w.T, patience, "all has arrived", func() error {
		if got := c.B.Report(c.b); got.Received != c.total {
			return fmt.Errorf("%s: %d of %d bytes; Suricata dropped %v", c.tuple, got.Received, c.total, c.w.IPS.Dropped(c.sport))
		}
		return nil
	})
}

// say sends a line of text that may arrive or not.
func (c *returning) say(text string) {
	c.A.Do(c.a, "say "+text)
	c.total += int64(len(text)) + 1
}

// blocked waits until Suricata has dropped packets of the connection for a reason, and
// sees that nothing of what was sent last has arrived.
func (c *returning) blocked(reason string) {
	t := c.w.T
	t.Helper()
	harness.Within(t, patience, "Suricata drops "+c.tuple+" for "+reason, func() error {
		if n := c.w.IPS.Dropped(c.sport); n[reason] < 2 { // the first one and a retransmission
			return fmt.Errorf("dropped: %v", n)
		}
		return nil
	})
	t.Logf("%d: dropped %v", c.sport, c.w.IPS.Dropped(c.sport))
}

// unheard fails if B has heard of an end.
func (c *returning) unheard() {
	c.w.T.Helper()
	for _, kind := range []string{"eof", "reset"} {
		if c.B.Heard(c.b, kind) {
			c.w.T.Errorf("%s: %s at the other end", c.tuple, kind)
		}
	}
}

// What Suricata 7.0 makes of connections that return to it, with the settings it comes
// with, while it remembers them: it lets data pass and looks at each packet for itself, but
// drops FIN and RST, for their sequence numbers are beyond what it knows.
func TestSuricataReturns(t *testing.T) {
	w := harness.InspectedPair(harness.New(t), forbid)
	w.WireThrough()
	l := w.B.Listen(t, "tcp", transferPort, false)
	all := bypassed(w, l, 20e6, 40001, 40002, 40003, 40004)
	w.Inspect()
	data, word, fin, rst := all[0], all[1], all[2], all[3]
	data.send(1e6)
	data.inspected()
	if n := w.IPS.Dropped(data.sport); len(n) != 0 {
		t.Errorf("data: dropped %v", n)
	}
	word.say(forbidden)
	fin.A.Do(fin.a, "fin")
	rst.A.Do(rst.a, "rst")
	word.blocked("rules")
	fin.blocked("stream error")
	harness.Within(t, patience, "the RST is dropped", func() error {
		if n := w.IPS.Dropped(rst.sport); n["stream error"] != 1 {
			return fmt.Errorf("%v", n)
		}
		return nil
	})
	fin.unheard()
	rst.unheard()
	for _, c := range all {
		t.Logf("%d: zones %s and %s, %v", c.sport, w.State(0, c.sport), w.State(1, c.sport), events(w, c.sport))
	}
}

// events counts what Suricata noticed in a connection.
func events(w *harness.Inspected, sport uint16) []string {
	n := map[string]int{}
	for _, r := range w.IPS.Records(sport) {
		switch r.Kind {
		case "anomaly":
			n[r.Anomaly.Event]++
		case "drop":
			n["dropped: "+r.Drop.Reason]++
		case "flow":
			n[fmt.Sprintf("flow: %s, %s, %s", r.Flow.State, r.Flow.Reason, r.Flow.Action)]++
		}
	}
	var list []string
	for _, k := range slices.Sorted(maps.Keys(n)) {
		list = append(list, fmt.Sprintf("%s %d times", k, n[k]))
	}
	return list
}
