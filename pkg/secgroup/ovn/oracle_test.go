package ovn_test

import (
	"flag"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

var (
	seed     = flag.Uint64("seed", 0, "of the random ACLs and packets; 0: one that is always the same, with FLOWSHUNT_SLOW a new one")
	keepNew  = flag.Bool("record", false, "write testdata/oracle-*.json anew, with OVN of hack/ovn-newer")
	slow     = os.Getenv("FLOWSHUNT_SLOW") != ""
	patterns = map[string]style{
		"neutron": {neutron: true},
		"hand":    {},
		"exotic":  {exotic: true},
	}
)

// TestOracle compares what a Table says of random packets under random ACLs with what
// ovn-trace says: of a packet in the original direction of a connection that is
// established, and of the connection's first packet. The ACLs change all the time, and the
// Table follows.
func TestOracle(t *testing.T) {
	for name, s := range patterns {
		t.Run(name, func(t *testing.T) { examine(t, startCentral(t, oldest(t)), s) })
	}
}

// TestOracleNewer does the same with an OVN that has tiers.
func TestOracleNewer(t *testing.T) {
	for name, s := range patterns {
		t.Run(name, func(t *testing.T) { examine(t, startCentral(t, newer(t)), s) })
	}
	t.Run("tiers", func(t *testing.T) { examine(t, startCentral(t, newer(t)), style{tiers: true}) })
}

// examine lets 700 packets, with FLOWSHUNT_SLOW ten times as many, into a world that changes.
func examine(t *testing.T, c *central, s style) {
	rounds, packets := 35, 20
	from := *seed
	if slow {
		rounds *= 10
		if from == 0 {
			from = uint64(time.Now().UnixNano())
		}
	}
	w := newWorld(from, s)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("-seed %d; the ACLs:\n%s", from, w)
		}
	})
	c.nbctl(w.create()...)
	c.adopt(w)
	south, north := follow(t, c, southbound), follow(t, c, northbound)
	var e, n exam
	for round := range rounds {
		if change := w.change(); len(change) > 0 {
			c.nbctl(change[1:]...)
		}
		mark := c.mark()
		judges := map[*exam]*secgroup.Table{&e: south.at(c, mark), &n: north.at(c, mark)}
		established, first := c.trace(est, 0), c.trace("new", packets)
		for range packets {
			p := w.packet()
			for _, fate := range []fate{established.ask(p), first.ask(p)} {
				for e, table := range judges {
					e.compare(t, w, table, p, fate)
				}
			}
		}
		established.stop()
		first.stop()
		if round%7 == 6 {
			south.isFresh(c, southbound)
			north.isFresh(c, northbound)
		}
	}
	t.Logf("%d packets, Southbound: %s", rounds*packets, &e)
	e.wasWorthIt(t, s)
	t.Logf("%d packets, Northbound: %s", rounds*packets, &n)
	n.wasWorthIt(t, s)
}

// isFresh compares what was followed with what is read anew.
func (f *follower) isFresh(c *central, of source) {
	f.t.Helper()
	fresh := follow(f.t, c, of)
	defer fresh.stop()
	mark := c.mark()
	fresh.at(c, mark)
	f.at(c, mark)
	if d := f.difference(fresh); d != "" {
		f.t.Fatalf("what was followed is not what is read anew: %.5000s", d)
	}
}

// exam counts the answers that were compared.
type exam struct {
	permitted, denied, stateless, unknown int
	why                                   map[string]int // they were unknown: by rule
	others                                int            // were decided by another ACL than OVN shows
}

func (e *exam) String() string {
	text := fmt.Sprintf("%d permitted, %d denied (%d of these by other ACLs), %d stateless, %d unknown",
		e.permitted, e.denied, e.others, e.stateless, e.unknown)
	for _, rule := range slices.Sorted(maps.Keys(e.why)) {
		text += fmt.Sprintf("\n%4d unknown by %s", e.why[rule], rule)
	}
	return text
}

// wasWorthIt fails a test that has asked too little of one kind.
func (e *exam) wasWorthIt(t *testing.T, s style) {
	t.Helper()
	n := e.permitted + e.denied + e.stateless + e.unknown
	if !s.exotic && (e.permitted < n/50 || e.denied < n/50 || e.stateless == 0) {
		t.Error("too little of one kind")
	}
	// Rows of one priority with the same action may decide in any order, as all of Neutron's.
	if !s.neutron && e.others > n/10 {
		t.Error("too many were decided by other ACLs")
	}
	most := n / 5
	switch {
	case s.neutron:
		most = 0
	case s.tiers: // what passes on to the next tier is unknown
		most = n / 2
	case s.exotic:
		most = n
	}
	if e.unknown > most {
		t.Error("too much is unknown")
	}
}

// compare looks at each port that the packet came to.
func (e *exam) compare(t *testing.T, w *world, table *secgroup.Table, p packet, f fate) {
	t.Helper()
	e.side(t, w, table, p, f, flows.Egress, p.from, f.left)
	if f.left {
		e.side(t, w, table, p, f, flows.Ingress, p.to, f.arrived)
	}
}

// side judges at one port. What is permitted there has to be known to conntrack, because the
// replies would have to be judged for themselves otherwise; unless no ACL is about the port.
func (e *exam) side(t *testing.T, w *world, table *secgroup.Table, p packet, f fate, d flows.Direction, h *host, passed bool) {
	t.Helper()
	said := table.Judge(flows.LogicalPort(h.name), d, p.tuple)
	by := table.Describe(said.Rule)
	right := false
	switch said.Reason {
	case "":
		e.permitted++
		right = passed && (f.asked[d] || w.free(h))
	case flows.SGDenied:
		e.denied++
		right = !passed
	case flows.SGStateless:
		e.stateless++
		right = !f.asked[d]
	case flows.SGUnknown:
		e.unknown++
		if e.why == nil {
			e.why = map[string]int{}
		}
		e.why[by+table.Detail(flows.LogicalPort(h.name))]++
		right = true
	}
	if !right {
		t.Fatalf("%s at %s, %s %s: the table says %q by %q; OVN: passed %v, by conntrack %v\n%s",
			d, h.name, p.tuple, icmp(p.tuple), said.Reason, by, passed, f.asked[d], f.text)
	}
	if said.Rule != 0 && said.Reason != flows.SGUnknown && !f.shows(by) {
		e.others++
	}
}

// shows reports whether the trace has the match of the ACL that a rule is named after.
func (f *fate) shows(rule string) bool {
	_, match, _ := strings.Cut(rule, ": ")
	match = strings.TrimPrefix(match, "(reg0[10] == 1) && ") // as 23.03 begins a reject, with another bit for a first packet
	return f.text == "" || strings.Contains(f.text, strings.TrimSuffix(match, "..."))
}

func icmp(t flows.Tuple) string {
	if t.Proto != flows.ICMP && t.Proto != flows.ICMPv6 {
		return ""
	}
	return fmt.Sprintf("type %d code %d", t.DstPort>>8, t.DstPort&255)
}

// TestOracleRecorded compares with what a newer OVN said when it was asked.
func TestOracleRecorded(t *testing.T) {
	files, err := filepath.Glob("testdata/oracle-*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no records", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			r := readRecord(t, file)
			c := startDatabases(t, oldest(t))
			c.restore(r)
			table := follow(t, c, southbound).at(c, netip.Prefix{})
			var e exam
			for _, q := range r.questions {
				e.compare(t, nil, table, q.packet(), q.fate())
			}
			t.Logf("%s, %d questions: %s", r.release, len(r.questions), &e)
			if e.permitted == 0 || e.denied == 0 {
				t.Errorf("too much of one kind: %s", &e)
			}
		})
	}
}

// TestRecord writes the records.
func TestRecord(t *testing.T) {
	if !*keepNew {
		t.Skip("-record was not said")
	}
	for name, of := range map[string]struct {
		seed uint64 // such that there is some of everything
		style
		more [][]string
	}{
		"neutron": {11, style{neutron: true}, nil},
		"hand":    {17, style{}, nil},
		"tiers":   {13, style{tiers: true}, nil},
		"forms":   {19, style{tiers: true}, forms},
		"closed":  {16, style{tiers: true}, closed},
	} {
		t.Run(name, func(t *testing.T) {
			c := startCentral(t, newer(t))
			w := newWorld(of.seed, of.style)
			r := record{release: c.run(c.bin+"/ovn-northd", "--version"), northbound: append([][]string{w.create()}, of.more...)}
			for _, command := range r.northbound {
				c.nbctl(command...)
			}
			c.adopt(w)
			trace := c.trace(est, 0)
			for range 100 {
				p := w.packet()
				q := ask(p, trace.ask(p))
				if !slices.Contains(r.questions, q) {
					r.questions = append(r.questions, q)
				}
			}
			r.southbound = c.rows()
			r.save(t, "testdata/oracle-"+name+".json")
		})
	}
}
