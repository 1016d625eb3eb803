package engine

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mutations are deliberate faults, at least one for each promise. The simulation
// must notice each and name the promise.
var mutations = []struct {
	promise   int
	what      string
	file      string
	old, new_ string
}{
	{1, "the entry is not read again after the installation", "install.go",
		"g.enter(s, Verifying)\n\tg.readNow(s)", "g.enter(s, Verifying)\n\tg.verified(s)"},
	{1, "what a read tells of an offloaded entry is ignored", "poll.go",
		"if why != \"\" {\n\t\tif len", "if false {\n\t\tif len"},
	{1, "entries in unexplained zones are taken for nobody's", "stands.go",
		"if other != e && !other.closed {", "if false {"},
	{1, "ports are not looked at again when the path is known", "ports.go",
		"} else if p.Reason != \"\" {", "} else if false {"},
	{1, "an answer settles doubts that came after it was asked for", "validate.go",
		"d.first, d.later = d.later, doubtSpan{}", "d.first, d.later = doubtSpan{}, doubtSpan{}"},
	{1, "a change while the path is resolved is forgotten", "doubt.go",
		"if s.changes != g.changes {", "if false {"},
	{1, "doubts are narrowed for paths that are not plain", "doubt.go",
		"ev.anyPacket() || !s.plain ||", "ev.anyPacket() ||"},
	{1, "doubts are narrowed by the original direction alone", "doubt.go",
		"for d := range tuples {", "for d := range 1 {"},
	{1, "a changed mark is no doubt", "marks.go",
		"g.doubtPath(s)\n\t}\n\tfor", "}\n\tfor"},
	{1, "a doubt that is not answered stays", "validate.go",
		"case g.now >= s.doubt.deadline():", "case false:"},
	{1, "zones that changed are not looked at", "validate.go",
		"case len(ev.Stands) > 0 &&", "case false &&"},
	{1, "sessions stay for ever", "lifetime.go",
		"if limit == 0 {", "if true {"},
	{1, "entries are not found by how packets leave them", "kin.go",
		"for e := t.far[o]; e != nil", "for e := t.far[o]; false"},
	{1, "what is behind a translation is passed over", "kin.go",
		"t.meet(&k, e.leaves(), k.turned[i])", "_ = e"},
	{1, "what is before a translation is passed over", "kin.go",
		"t.meet(&k, e.key.Tuple, k.turned[i])", "_ = e"},
	{1, "replies are expected as if nothing were translated", "session.go",
		"s.paths[flows.Orig].Addressed(s.tuple).Reverse()", "s.tuple.Reverse()"},
	{1, "the receiver's groups are asked about what the sender sends", "groups.go",
		"tuple: p.Addressed(s.tuple)}", "tuple: s.tuple}"},
	{1, "addresses behind a translation are passed over", "groups.go",
		"for _, addr := range [...]netip.Addr{far.Src, far.Dst} {", "_ = far\n\tfor _, addr := range []netip.Addr{} {"},
	{1, "sessions are not found by the rule that permits them", "permissions.go",
		"for _, rule := range ev.Rules {", "for _, rule := range ev.Rules[:0] {"},
	{1, "addresses that leave a set are passed over", "permissions.go",
		"for _, addr := range ev.Addrs {", "for _, addr := range ev.Addrs[:0] {"},
	{1, "ports whose groups are not known any more keep their sessions", "permissions.go",
		"for _, port := range ev.Ports {", "for _, port := range ev.Ports[:0] {"},
	{1, "a silent source is trusted for ever", "permissions.go",
		"g.now.Sub(src.stale) < g.cfg.PermissionGrace", "true"},
	{1, "a silent source is asked for new sessions", "permissions.go",
		"hold := src.stale == 0 ||", "hold := true || src.stale == 0 ||"},
	{1, "changed policies are not held against what is offloaded", "policysieve.go",
		"v.pass.concern(s.policy, &subject) {", "v.pass.concern(s.policy, &subject) && false {"},
	{1, "what policies say of a path is not asked", "install.go",
		"if reason, detail := g.decide(s); reason != \"\" {", "if reason, detail := flows.Reason(\"\"), \"\"; reason != \"\" {"},
	{1, "a policy that may match is passed over", "policy.go",
		"case d.Doubt != 0:\n\t\treturn", "case false:\n\t\treturn"},
	{1, "found rules are not held against policies", "adopt.go",
		"if g.policies != nil {\n\t\tg.decideAnew(s)\n\t}\n\tif !s.dead", "if !s.dead"},
	{4, "what an inspector blocked once is held for ever", "inspector.go",
		"return first > o.grew[d].last &&", "return first > 0 &&"},
	{3, "what a policy drops may come back", "remove.go",
		" || cause == flows.PolicyDrop", ""},
	{3, "what an operator revoked may come back", "order.go",
		"e.denied = e.denied || ev.Kind == OrderRevoke", "_ = e"},
	{9, "an order to inspect takes no rules out", "order.go",
		"if e.session != nil {\n\t\tg.remove", "if false {\n\t\tg.remove"},
	{9, "what an operator holds back may come back", "order.go",
		"g.orderOf(e).kind == OrderInspect }", "false }"},
	{9, "an order with a time is over at once", "order.go",
		"o.until != 0 && g.now >= o.until", "o.until != 0"},
	{9, "another agent does not learn of an order", "order.go",
		"g.emit(Remember{", "_ = (Remember{"},
	{9, "the mark of a revocation is not written", "order.go",
		"if never := o.kind != OrderOffload; never", "if o.kind == OrderRevoke {\n\t\tg.orders[e] = order{kind: OrderRevoke, tries: rememberTries}\n\t\treturn\n\t}\n\tif never := o.kind != OrderOffload; never"},
	{9, "the mark of what is denied is not written again", "follow.go",
		"said := g.orderSays(e, why) // also", "said := why\n\tif !e.denied {\n\t\tsaid = g.orderSays(e, why)\n\t} // also"},
	{9, "the mark of an order that is over stays", "order.go",
		"\t\tg.wipe(e, o)\n", "\t\tg.dropOrder(e)\n"},
	{9, "one of a session's entries is held back", "order.go",
		"list = s.entries", "_ = s.entries"},
	{1, "policies see one name of what is translated", "policy.go",
		"far = p.Addressed(s.tuple)", "_ = p.Addressed(s.tuple)"},
	{1, "an order to offload goes before policies", "policy.go",
		"	asked := s.asked()\n	subject", "	asked := s.asked()\n	if asked {\n		return \"\", \"\"\n	}\n	subject"},
	{1, "one source is enough", "groups.go",
		"for i := range g.sources {\n\t\t\tp := g.sources[i].permission(s, &e)\n\t\t\tswitch",
		"for i := range g.sources[:1] {\n\t\t\tp := g.sources[i].permission(s, &e)\n\t\t\tswitch"},
	{1, "only the sender's groups are asked", "groups.go",
		"{id: p.Out, direction: flows.Ingress, tuple: p.Addressed(s.tuple)},\n", ""},
	{1, "what was judged when less was known goes in", "groups.go",
		"g.rejudge([]*session{s}, news{source: nobody})", "_ = news{}"},
	{3, "what groups deny may come back", "remove.go",
		"cause == flows.Blocked || cause == flows.SGDenied ||", "cause == flows.Blocked ||"},
	{3, "the CMS's bit is set in every zone", "deny.go",
		"if port.HasZone && key.Zone == port.Zone {", "if port.HasZone || key.Zone != port.Zone {"},
	{3, "the CMS's bit is set though the connection is permitted again", "deny.go",
		"src.permissions.Judge(d.end.port, d.end.direction, d.end.tuple).Reason == \"\"", "false"},
	{2, "a FIN is forgotten", "follow.go",
		"e.closed = true\n\t}\n\tswitch {", "}\n\tif false {\n\t}\n\tswitch {"},
	{3, "one tuple of what was denied is buried", "tombstone.go",
		"range e.tuples() {\n\t\t\tg.tombstones", "range e.tuples()[:1] {\n\t\t\tg.tombstones"},
	{3, "only the entry that was denied is buried", "tombstone.go",
		"for e := range all.each {\n\t\tfor", "for _, e := range []*entry{gone} {\n\t\tfor"},
	{3, "tombstones are compared with one tuple", "tombstone.go",
		"range e.tuples() {\n\t\tif", "range e.tuples()[:1] {\n\t\tif"},
	{3, "tombstones do not count", "tombstone.go",
		"return g.tombstones.covers(e, g.now)", "return false"},
	{3, "the CMS's mark is not looked at", "eligible.go",
		"if c.Mark.Blocked.Matches(e.Mark) {", "if false {"},
	{4, "rules without hits stay", "poll.go",
		"if s.unmoved[d] >= fewReadings &&", "if false &&"},
	{5, "a removal during the installation is taken for done", "session.go",
		"return s >= Installing }", "return s >= Verifying }"},
	{5, "failed removals are not repeated", "remove.go",
		"g.retries = append(g.retries, s)", "g.release(s)"},
	{5, "entries of rules that are being adopted are taken for free", "claim.go",
		"return len(g.claimants(e)) > 0", "return false"},
	{5, "rules that were found are forgotten", "adopt.go",
		"g.keep(s)", "_ = s.id"},
	{6, "window checks of adopted sessions are not relaxed", "adopt.go",
		"if s.isTCP() { // again", "if false { // again"},
	{6, "nothing is kept alive", "poll.go",
		"if !g.cfg.KeepAlive ||", "if true ||"},
	{6, "rules go in before the window checks are relaxed", "install.go",
		"if !s.isTCP() {\n\t\t\tg.makeReady", "if true {\n\t\t\tg.makeReady"},
	{6, "MAXACK_SET is not cleared", "install.go",
		"if s.isTCP() {\n\t\tg.emit(Relax{", "if false {\n\t\tg.emit(Relax{"},
	{6, "MAXACK_SET is not cleared again after packets of the slow path", "poll.go",
		"if s.state == Offloaded && s.slowTotal()", "if false && s.slowTotal()"},
	{4, "rules without hits stay until much later", "poll.go",
		"g.now.Sub(s.missedAt[d]) >= g.cfg.NoHitsAfter {", "g.now.Sub(s.missedAt[d]) >= 20*g.cfg.NoHitsAfter {"},
	{4, "hits that are told late are taken for none", "poll.go",
		"s.unmoved[d] >= fewReadings && g.now.Sub(s.missedAt[d]) >= g.cfg.NoHitsAfter {", "true {"},
	{4, "sessions without traffic are taken for useless", "poll.go",
		"if grown <= slowGrowth {", "if grown > slowGrowth {"},
	{4, "a reset that is told is passed over", "engine.go",
		"g.eswitchReset(ev.Eswitch)", "_ = ev.Eswitch"},
	{4, "what was reset has to wait", "cooldown.go",
		"case flows.TableFull, flows.RateLimited, flows.EswitchReset:\n", "case flows.TableFull, flows.RateLimited:\n"},
	{4, "what hardware let go of stays", "poll.go",
		"s.inHW && !all[i].InHW && g.cfg.RequireHW {", "false {"},
	{4, "hardware shall do what spans two of them", "install.go",
		"case g.cfg.RequireHW && spans != \"\":", "case false:"},
	{7, "capacity is not looked at", "admit.go",
		"for len(g.sessions) < g.cfg.Capacity {", "for {"},
	{7, "the insertion budget is not looked at", "admit.go",
		"if !g.inserts.take(1) {", "if false {"},
	{7, "refusals for want of room teach nothing", "belief.go",
		"b.limit, b.learned = in, now", "b.learned = now"},
	{7, "a full table is believed to be full for ever", "belief.go",
		"if b.limit == unlimited || now < b.tryAt ||", "if true ||"},
	{7, "a full table is tried again all the time", "belief.go",
		"|| now < b.tryAt ||", "||"},
	{7, "rules that are gone are still counted", "room.go",
		"r.rules[s.stage] -= rules\n", "_ = rules\n"},
	{7, "sessions are displaced as soon as they are in", "displace.go",
		"g.now.Sub(s.installedAt) >= measured", "s.installedAt > 0"},
	{8, "the reason stays what it was", "follow.go",
		"e.reason, e.since = reason, g.now", "e.since = g.now"},
}

// measuredMutations are those that a measurement must notice, since they make things
// worse, but nothing wrong.
var measuredMutations = []struct {
	promise   int
	test      string
	file      string
	old, new_ string
}{
	{1, "TestStands", "stands.go", "&& e.key.Tuple == at.Tuple && e.reply() == at.Reply", ""},
	{1, "TestStands", "stands.go", "case !lead(list, tuples[flows.Orig], tuples[flows.Reply].Reverse()):", "case false:"},
	{1, "TestStands", "install.go", "if !fit(ev.Tuples, ev.Paths) {", "if false {"},
	{1, "TestLead", "stands.go", "from == to && !slices", "!slices"},
	{1, "TestTooManyKin", "kin.go", "k.over = true", "_ = e"},
	{3, "TestDeniedInACrowd", "tombstone.go", "case k.over:", "case false:"},
	{3, "TestDeniedInACrowd", "kin.go", "if !k.over {", "if true {"},
	{2, "TestSessionInACrowd", "kin.go", "if !k.over {", "if true {"},
	{5, "TestAdoptTranslated", "claim.go", "tuples[flows.Orig], tuples[flows.Reply].Reverse()}", "tuples[flows.Orig]}"},
	{1, "TestAdoptTranslated", "adopt.go", "return g.join(s, s.tuples(), stands)", "return \"\", \"\""},
	{7, "TestOneSession", "admit.go", "if s.state == Resolving {\n\t\t\tg.unqueue", "if false {\n\t\t\tg.unqueue"},
	{4, "TestSomeWithoutHits", "reset.go", "max(severalLost, r.sessions[inside]/2)", "severalLost"},
	{4, "TestResetTakesTime", "reset.go", "e.notBefore, e.fails = 0, 0", "_ = 0"},
	{4, "TestFeignedResets", "reset.go", "case gap < e.pause:", "case false:"},
	{4, "TestSilentReset", "reset.go", "if r.evidence.score >=", "if false && r.evidence.score >="},
	{7, "TestMostValuable", "queue.go", "q.list[i].before(q.list[j])", "q.list[j].before(q.list[i])"},
	{7, "TestMostValuable", "displace.go", "v.rate *= g.cfg.Displace", "v.rate *= 1"},
	{7, "TestChurnIsBounded", "displace.go", "min(max(1, n/displaceShare), max(1, most))", "n"},
	{7, "TestLateElephant", "displace.go", "case moreValuable(s, least[0]) > 0:", "case moreValuable(s, least[0]) < 0:"},
	{7, "TestLateElephant", "displace.go", "case !g.knowsHome(w.entry) &&", "case false &&"},
	{7, "TestTableStaysFull", "cooldown.go", "cause == flows.Displaced || atOnce(cause)", "cause == flows.Displaced"},
	{7, "TestTableStaysFull", "belief.go", "b.wait = min(b.wait+relearn, mostPatient*relearn)", "b.wait = relearn"},
	{7, "TestTableFills", "install.go", "case s.home.packed():", "case false:"},
	{7, "TestTableGrows", "belief.go", "b.step, b.tryAt, b.learned = 2*b.step,", "b.step, b.tryAt, b.learned = b.step,"},
	{7, "TestRulesOfOthers", "belief.go", "b.limit, b.learned = in, now", "b.learned = now"},
	{7, "TestShut", "shut.go", "c.inRow >= shutAfter && now < c.until && (s == nil || c.trial != s.id) {", "false {"},
	{7, "TestShutWithTwoNICs", "install.go", "c != nil && g.cfg.Enforce {", "false {"},
	{7, "TestShutKnowsShapes", "shut.go", "s.tuple.IsIPv6(), shapeOf(s.paths)}", "s.tuple.IsIPv6(), 0}"},
	{7, "TestShutKnowsShapes", "shut.go", "k.shape = e.shape", "_ = e"},
	{7, "TestShutDisplacesNothing", "displace.go", "case c != nil:", "case false:"},
	{7, "TestShut", "shut.go", "c.wait = min(2*c.wait, longestShut)", "_ = 0"},
	{7, "TestMACAgeingOfRouters", "ageing.go", "p.Leaves().SrcMAC == ev.MAC", "p.SrcMAC == ev.MAC"},
	{7, "TestPathMoves", "validate.go", "s.refuted = s.installedAt > 0", "_ = 0"},
	{7, "TestPathMoves", "cooldown.go", "if stood >= settledAfter {", "if false {"},
	{7, "TestPathMovesToAndFro", "cooldown.go", "if stood >= settledAfter {", "if true {"},
	{7, "TestShut", "install.go", "s.accepted()", "_ = 0"},
	{7, "TestSpeedOfDrivers", "window.go", "w.size = max(1,", "w.size = min(firstWindow,"},
	{7, "TestSpeedOfDrivers", "window.go", "if float64(r.sessions[entering]+1) > r.window.size {", "if r == nil {"},
	{7, "TestSpeedOfDrivers", "window.go", "w.size = max(1,", "w.size = max(100,"},
	{1, "TestTermsOfThePath", "install.go", "if reason, detail := g.worthIt(s); reason != \"\" {", "if reason, detail := flows.Reason(\"\"), \"\"; reason != \"\" {"},
	{1, "TestInspectPackets", "remove.go", "if s.installedAt > 0 && reinspects(s.cause) {", "if false {"},
	{1, "TestPolicyRate", "policy.go", "return own.Rate * t.LeaveRate / t.Rate", "return t.LeaveRate"},
	{1, "TestLateRulesWithoutPolicies", "policy.go", "if g.policies != nil || len(g.list) == 0 ||", "if true ||"},
	{1, "TestInspectorTakenAway", "policy.go", "case min(far.inspected(flows.Orig), far.inspected(flows.Reply)) < uint64(t.InspectPackets):", "case false:"},
	{1, "TestWireCloses", "policy.go", ", flows.PolicyUnknown, flows.InspectorDown:", ", flows.PolicyUnknown:"},
	{1, "TestOutstandingAsked", "inspector.go", "if a > b && o.seen >= a || b > a && e.seen >= b {", "if a > b && b > a {"},
	{1, "TestSilentDirections", "inspector.go", "o.seen.Sub(o.grew[d].last) < silentAfter", "o == e && o.seen.Sub(o.grew[d].last) < silentAfter"},
	{1, "TestBeganWhileOpen", "inspector.go", "case !s.isTCP() &&", "case s.isTCP() &&"},
	{1, "TestBeganWhileOpen", "inspector.go", "if e.start != 0 && o.start != 0 {", "if false {"},
	{1, "TestHeldSinceRead", "install.go", "reason, detail := g.heldSince(s.primary()); reason != \"\"", "reason, detail := g.heldSince(s.primary()); reason != \"\" && s.dead"},
	{1, "TestBlockedBeforeItWasRead", "inspector.go", "e.unacked[d] != o.unacked[d] ||", ""},
	{1, "TestBlockedBeforeItWasRead", "inspector.go", "(e.grew[d].before == 0 || o.grew[d].before == 0)", "false"},
	{1, "TestHeldMeanwhile", "inspector.go", "return first > o.grew[d].last &&", "return false &&"},
	{1, "TestHeldMeanwhile", "install.go", "reason, detail = g.kept(s.primary())", "_ = 0"},
	{3, "TestDropWhileLeaving", "policy.go", "case s.state != Removing || reason == flows.PolicyDrop:", "case s.state != Removing:"},
	{7, "TestDoubtfulIsLookedForOnce", "policy.go", "case reason == \"\" || placed:", "case reason == \"\" || placed && false:"},
	{1, "TestInspectPackets", "policy.go", "case min(e.inspected(flows.Orig), e.inspected(flows.Reply)) <", "case max(e.inspected(flows.Orig), e.inspected(flows.Reply)) <"},
	{9, "TestOrderAboutOneZone", "stands.go", "case g.heldBack(e):", "case false:"},
	{3, "TestUnscaledObeys", "follow.go", "why = \"\" // the liberal flag is our own", "return \"\""},
	{1, "TestOrderWithoutPolicy", "policy.go", "return e.packets[d] - e.inspectFrom[d]", "return e.packets[d]"},
	{1, "TestSieveOfManyChanges", "policysieve.go", "v.pass, v.next, v.left = v.next, changes{}, len(g.list)", "v.pass, v.next, v.left = v.next, changes{}, len(g.list)/2"},
	{1, "TestSieveBeforeInstall", "policysieve.go", "if g.unsifted(s) {\n\t\tg.decideAnew(s)", "if false {\n\t\tg.decideAnew(s)"},
	{3, "TestSieveHasTheLastWord", "policysieve.go", "return reason\n\t}\n\treturn cause", "return cause\n\t}\n\treturn cause"},
	{1, "TestSubjectOfSession", "policy.go", "In: p.In, Out: p.Out, Placed: true", "In: p.Out, Out: p.In, Placed: true"},
	{1, "TestOrderWithoutPolicy", "policy.go", "if policy == 0 && asked == \"\" || asked", "if policy == 0 || asked"},
	{8, "TestOrderOfWhatIsOffloaded", "order.go", "s.reason = flows.OrderOffload", "s.reason = flows.MarkOffload"},
	{9, "TestOrderAboutTheUnknown", "order.go", "g.entryRead(ev.At, rec)\n\t\tg.obey", "g.obey"},
	{9, "TestOrdersInARow", "order.go", "case o.marked && g.now.Sub(o.tried) >= rememberAfter:", "case o.marked:"},
	{9, "TestOrderIsWiped", "order.go", "o.marked && set && o.tries < rememberTries", "o.marked && set && o.tries == 0"},
	{9, "TestOrdersOutliveADump", "follow.go", "if (head.denied || head.ordered) &&", "if false &&"},
	{9, "TestOrdersOutliveZeroing", "entry.go", "return e.start != rec.Start\n\t}", "\t}"},
	{1, "TestPolicyLifetime", "lifetime.go", "if t.MaxLifetime > 0 {", "if false {"},
	{1, "TestAwaitPolicies", "policy.go", "|| g.now.Sub(1) < g.cfg.PermissionGrace {", "|| true {"},
}

// TestMeasuredMutations breaks the engine in every way above and sees the test fail.
func TestMeasuredMutations(t *testing.T) {
	if testing.Short() || os.Getenv("FLOWSHUNT_MUTATED") != "" {
		t.Skip("compiles the package once for each mutation: not with -short, nor inside a mutation")
	}
	for i, m := range measuredMutations {
		if !chosen(t, i) {
			continue
		}
		t.Run(fmt.Sprintf("promise %d/%s/%s", m.promise, m.test, m.new_), func(t *testing.T) {
			t.Parallel()
			out, err := runMutated(t, m.file, m.old, m.new_, "^"+m.test+"$")
			if err == nil {
				t.Fatal("the test did not notice")
			}
			if !strings.Contains(out, fmt.Sprintf("promise %d", m.promise)) {
				t.Fatalf("the test failed, but not for promise %d:\n%s", m.promise, out)
			}
		})
	}
}

// chosen says which mutations are tried: with FLOWSHUNT_SLOW, as make test-all sets it,
// all; else every 24th, others with each change of the package.
func chosen(t *testing.T, i int) bool {
	t.Helper()
	if os.Getenv("FLOWSHUNT_SLOW") != "" {
		return true
	}
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		i += int(info.Size())
	}
	return i%24 == 0
}

// TestMutations breaks the engine in every way above and sees the simulation fail.
func TestMutations(t *testing.T) {
	if testing.Short() || os.Getenv("FLOWSHUNT_MUTATED") != "" {
		t.Skip("compiles the package once for each mutation: not with -short, nor inside a mutation")
	}
	for i, m := range mutations {
		if !chosen(t, i) {
			continue
		}
		t.Run(fmt.Sprintf("promise %d/%s", m.promise, m.what), func(t *testing.T) {
			t.Parallel()
			out, err := "", error(nil)
			// What is rare need not happen in each world.
			for seed := 1; !strings.Contains(out, fmt.Sprintf("promise %d", m.promise)) && seed <= 151; seed += 10 {
				out, err = runMutated(t, m.file, m.old, m.new_, "^TestSimulation$", fmt.Sprintf("-seed=%d", seed), "-steps=60000")
			}
			if err == nil {
				t.Fatal("the simulation did not notice")
			}
			if !strings.Contains(out, fmt.Sprintf("promise %d", m.promise)) {
				t.Fatalf("the simulation failed, but not for promise %d:\n%s", m.promise, out)
			}
		})
	}
}

func runMutated(t *testing.T, file, old, replacement, test string, flags ...string) (string, error) {
	t.Helper()
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), old); n != 1 {
		t.Fatalf("%s has %d places to mutate, want 1", file, n)
	}
	dir := t.TempDir()
	mutated := filepath.Join(dir, file)
	if err := os.WriteFile(mutated, []byte(strings.Replace(string(source), old, replacement, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	original, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {original: mutated}})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"test", "-count=1", "-vet=off", "-failfast", "-ldflags=-s -w", "-run=" + test, "-overlay=" + list, "."}
	cmd := exec.Command("go", append(args, flags...)...)
	cmd.Env = append(os.Environ(), "FLOWSHUNT_MUTATED=1")
	out, err := cmd.CombinedOutput()
	return string(out), err
}
