package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// What Suricata must never let through.
const forbidden = "FORBIDDEN-WORD"

var forbid = harness.SuricataConfig{Rules: []string{
	fmt.Sprintf(`drop tcp any any -> any any (msg:"forbidden"; content:"%s"; sid:1; rev:1;)`, forbidden),
}}

// The settings of docs/inspectors.md: what passes by itself and by those, and what an
// operator who wants each packet looked at has to do without.
var (
	asItComes = []string(nil)
	streams   = []string{"stream.drop-invalid=no", "stream.midstream=true", "stream.midstream-policy=ignore"}
	packets   = []string{"stream.drop-invalid=no", "stream.midstream=false", "stream.midstream-policy=ignore"}
	passFlow  = []string{"stream.drop-invalid=no", "stream.midstream=false", "stream.midstream-policy=pass-flow"}
)

const (
	arrives = ""  // what Suricata lets through; anything else is its reason to drop it
	untold  = "-" // nothing is to be found out
)

// returns is what Suricata makes of connections that return to it from a bypass.
type returns struct {
	name      string
	set       []string
	forgotten bool  // it has, meanwhile: they return after its timeout
	bytes     int64 // past it, of each

	data, word, split, fin, rst string
}

// What Suricata 7.0 makes of connections that return to it while it remembers them, with
// the settings that it comes with: it lets data pass and looks at each packet for itself,
// but drops FIN and RST, because their sequence numbers are beyond what it knows.
func TestSuricataReturns(t *testing.T) {
	w := harness.InspectedPair(harness.New(t), forbid)
	w.WireThrough()
	tellReturns(w, returns{"as it comes", asItComes, false, 10e6, arrives, "rules", arrives, "stream error", "stream error"})
}

// The same with other settings, after gigabytes, and after it has forgotten them.
func TestSuricataSettings(t *testing.T) {
	slowly(t)
	for _, r := range []returns{
		{"as it comes, forgotten", asItComes, true, 10e6, "stream midstream", "stream midstream", "stream midstream", "stream midstream", "stream error"},
		{"streams", streams, false, 10e6, arrives, "rules", arrives, arrives, arrives},
		{"streams, forgotten", streams, true, 10e6, arrives, arrives, "rules", arrives, arrives},
		{"packets, forgotten", packets, true, 10e6, arrives, "rules", arrives, arrives, arrives},
		{"flows pass, forgotten", passFlow, true, 10e6, arrives, arrives, arrives, arrives, arrives},
		{"as it comes, gigabytes", asItComes, false, 2_200e6, arrives, untold, untold, "stream error", "stream error"},
		{"streams, gigabytes", streams, false, 2_200e6, arrives, untold, untold, arrives, arrives},
	} {
		t.Run(strings.ReplaceAll(r.name, " ", "-"), func(t *testing.T) {
			cfg := forbid
			cfg.Set = r.set
			if r.forgotten {
				cfg.Set = append(slices.Clone(cfg.Set), "flow-timeouts.tcp.established=5")
			}
			w := harness.InspectedPair(harness.New(t), cfg)
			w.WireThrough()
			tellReturns(w, r)
		})
	}
}

// tellReturns lets one connection of each kind return.
func tellReturns(w *harness.Inspected, r returns) {
	t := w.T
	t.Helper()
	l := w.B.Listen(t, "tcp", transferPort, false)
	sports := []uint16{40001, 40002, 40003, 40004, 40005}
	if r.word == untold {
		sports = sports[:3]
	}
	all := bypassed(w, l, r.bytes, sports...)
	if r.forgotten {
		for _, c := range all {
			c.forgotten()
		}
	}
	w.Inspect()
	data, fin, rst := all[0], all[1], all[2]
	data.send(1e6)
	data.outcome("data", r.data)
	fin.A.Do(fin.a, "fin")
	rst.A.Do(rst.a, "rst")
	if r.word != untold {
		tellWords(all[3], all[4], r)
	}
	fin.end("eof", r.fin)
	rst.end("reset", r.rst)
	for _, c := range all {
		t.Logf("%d: zones say %s, %s; Suricata noticed: %s", c.sport, w.State(0, c.sport), w.State(1, c.sport), noticed(w, c.sport))
	}
}

// tellWords has the word sent in one packet, and in two after something else.
func tellWords(word, split *returning, r returns) {
	word.say(forbidden)
	split.say("hello")
	if r.split != "stream midstream" {
		split.whole() // picked up, if it is ever to be
		split.say(forbidden[:6])
		split.whole()
		split.say(forbidden[6:])
	}
	word.outcome("the word", r.word)
	split.outcome("the word in two packets", r.split)
}

// noticed counts what Suricata recorded of a connection.
func noticed(w *harness.Inspected, sport uint16) string {
	n := map[string]int{}
	for _, r := range w.IPS.Records(sport) {
		switch r.Kind {
		case "anomaly":
			n[r.Anomaly.Event]++
		case "drop":
			n["dropped for "+r.Drop.Reason]++
		case "flow":
			n[fmt.Sprintf("flow of state %s ended by %s %s", r.Flow.State, r.Flow.Reason, r.Flow.Action)]++
		}
	}
	var list []string
	for _, k := range slices.Sorted(maps.Keys(n)) {
		list = append(list, fmt.Sprintf("%d %s", n[k], k))
	}
	return strings.Join(list, ", ")
}
