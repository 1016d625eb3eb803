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
	{1, "entries in unexplained zones are taken for nobody's", "install.go",
		"if other != e && !other.closed {", "if false {"},
	{1, "ports are not looked at again when the path is known", "ports.go",
		"} else if reason != \"\" {", "} else if false {"},
	{1, "an answer settles doubts that came after it was asked for", "validate.go",
		"d.first, d.later = d.later, doubtSpan{}", "d.first, d.later = doubtSpan{}, doubtSpan{}"},
	{1, "a change while the path is resolved is forgotten", "doubt.go",
		"if s.changes != g.changes {", "if false {"},
	{1, "doubts are narrowed for paths that are not plain", "doubt.go",
		"ev.anyPacket() || !s.plain ||", "ev.anyPacket() ||"},
	{1, "doubts are narrowed by the original direction alone", "doubt.go",
		"for d := range tuples {", "for d := range 1 {"},
	{1, "a changed mark is no doubt", "marks.go",
		"g.doubtPath(s)\n\t\t}\n\t}\n\tfor", "}\n\t}\n\tfor"},
	{1, "a doubt that is not answered stays", "validate.go",
		"case g.now >= s.doubt.deadline():", "case false:"},
	{1, "zones that changed are not looked at", "validate.go",
		"case s.zoned && len(ev.Zones) > 0 &&", "case false &&"},
	{1, "sessions stay for ever", "lifetime.go",
		"if limit == 0 {", "if true {"},
	{1, "adopted rules are not judged in all zones of their path", "adopt.go",
		"return g.join(s, zones)", "return \"\", \"\""},
	{2, "a FIN is forgotten", "follow.go",
		"e.closed = true\n\t}\n\tswitch {", "}\n\tif false {\n\t}\n\tswitch {"},
	{3, "tombstones do not count", "tombstone.go",
		"return g.tombstones.covers(e, g.now)", "return false"},
	{3, "the CMS's mark is not looked at", "eligible.go",
		"if c.Mark.Blocked.Matches(e.Mark) {", "if false {"},
	{4, "rules without hits stay", "poll.go",
		"if grown > slowGrowth &&", "if false && grown > slowGrowth &&"},
	{5, "a removal during the installation is taken for done", "session.go",
		"return s >= Installing }", "return s >= Verifying }"},
	{5, "failed removals are not repeated", "remove.go",
		"g.retries = append(g.retries, s)", "g.release(s)"},
	{5, "entries of rules that are being adopted are taken for free", "claim.go",
		"return len(g.claims[e.key.Tuple]) > 0", "return false"},
	{5, "rules that were found are forgotten", "adopt.go",
		"g.keep(s)", "_ = s.id"},
	{6, "window checks of adopted sessions are not relaxed", "adopt.go",
		"if s.isTCP() { // again", "if false { // again"},
	{6, "nothing is kept alive", "poll.go",
		"if !g.cfg.KeepAlive ||", "if true ||"},
	{6, "rules go in before the window checks are relaxed", "install.go",
		"if !s.isTCP() {\n\t\t\tg.ready", "if true {\n\t\t\tg.ready"},
	{6, "MAXACK_SET is not cleared", "install.go",
		"if s.isTCP() {\n\t\tg.emit(Relax{", "if false {\n\t\tg.emit(Relax{"},
	{6, "MAXACK_SET is not cleared again after packets of the slow path", "poll.go",
		"if s.state == Offloaded && s.slowTotal()", "if false && s.slowTotal()"},
	{7, "capacity is not looked at", "admit.go",
		"if len(g.sessions) >= g.cfg.Capacity || !g.inserts.take(1) {", "if !g.inserts.take(1) {"},
	{7, "the insertion budget is not looked at", "admit.go",
		"|| !g.inserts.take(1) {", "{"},
	{8, "the reason stays what it was", "follow.go",
		"e.reason, e.since = reason, g.now", "e.since = g.now"},
}

// TestMutations breaks the engine in every way above and sees the simulation fail.
func TestMutations(t *testing.T) {
	if testing.Short() || os.Getenv("FLOWSHUNT_MUTATED") != "" {
		t.Skip("compiles the package once for each mutation: not with -short, nor inside a mutation")
	}
	for _, m := range mutations {
		t.Run(fmt.Sprintf("promise %d/%s", m.promise, m.what), func(t *testing.T) {
			t.Parallel()
			out, err := "", error(nil)
			// What is rare need not happen in each world.
			for seed := 1; err == nil && seed <= 31; seed += 10 {
				out, err = runMutated(t, m.file, m.old, m.new_, seed)
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

func runMutated(t *testing.T, file, old, replacement string, seed int) (string, error) {
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
	cmd := exec.Command("go", "test", "-count=1", "-vet=off", "-failfast", "-ldflags=-s -w", "-run=^TestSimulation$", "-overlay="+list, ".", fmt.Sprintf("-seed=%d", seed), "-steps=60000")
	cmd.Env = append(os.Environ(), "FLOWSHUNT_MUTATED=1")
	out, err := cmd.CombinedOutput()
	return string(out), err
}
