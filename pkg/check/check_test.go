package check

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// files is a root with these files. A text "-> X" is a link to X.
func files(texts map[string]string) fstest.MapFS {
	root := fstest.MapFS{}
	for name, text := range texts {
		f := &fstest.MapFile{Data: []byte(text), Mode: 0o644}
		if to, link := strings.CutPrefix(text, "-> "); link {
			f = &fstest.MapFile{Data: []byte(to), Mode: os.ModeSymlink | 0o777}
		}
		root[name] = f
	}
	return root
}

// with returns files with some replaced or, where the text is "none", left out.
func with(texts map[string]string, changes ...string) map[string]string {
	changed := make(map[string]string)
	for name, text := range texts {
		changed[name] = text
	}
	for i := 0; i < len(changes); i += 2 {
		changed[changes[i]] = changes[i+1]
		if changes[i+1] == "none" {
			delete(changed, changes[i])
		}
	}
	return changed
}

// says are the lines of a look as "status name: found".
func says(t *testing.T, n *node, l look) []string {
	t.Helper()
	var said []string
	for _, line := range l(t.Context(), n) {
		mustBeWhole(t, line)
		said = append(said, line.Status.String()+" "+line.Name+": "+line.Found)
	}
	return said
}

// mustBeWhole checks what every line promises.
func mustBeWhole(t *testing.T, l Line) {
	t.Helper()
	switch {
	case l.Name == "" || l.Found == "" || l.Status == 0 || l.Status > Unknown:
		t.Errorf("%+v is not whole", l)
	case strings.ContainsAny(l.Found+l.Why+strings.Join(l.Fix, ""), "\n"):
		t.Errorf("%+v has lines in a line", l)
	case l.Status == Fatal && (l.Why == "" || len(l.Fix) == 0):
		t.Errorf("%+v says neither why nor what to do", l)
	case l.Status == Warning && l.Why == "":
		t.Errorf("%+v does not say why", l)
	}
}

func wantLines(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// Every look says something of an empty machine, and nothing of it is ok that was not
// looked at.
func TestNothingThere(t *testing.T) {
	dir := t.TempDir()
	lines := Run(t.Context(), Config{Root: fstest.MapFS{}, OVSDB: "unix:" + dir + "/db.sock", OVSRundir: dir, Socket: dir + "/control.sock"})
	status := make(map[string]Status)
	for _, l := range lines {
		mustBeWhole(t, l)
		if _, twice := status[l.Group+"/"+l.Name]; twice {
			t.Errorf("%s/%s is there twice", l.Group, l.Name)
		}
		status[l.Group+"/"+l.Name] = l.Status
	}
	for name, want := range map[string]Status{
		"kernel/release": Unknown, "kernel/bugs": Unknown, "kernel/cls_flower": Unknown, "conntrack/accounting": Fatal,
		"conntrack/table": Unknown, "conntrack/losses": Unknown, "ovs/database": Fatal, "ovs/ovs-vswitchd": Fatal,
		"ovs/hw-offload": Unknown, "ovs/upcalls": Unknown, "tc/ingress": Unknown, "process/capabilities": Unknown,
		"process/clock": Unknown, "agent/flowshuntd": Warning,
	} {
		if status[name] != want {
			t.Errorf("%s is %v, want %v", name, status[name], want)
		}
	}
}

// A check that is told to stop says so instead of waiting.
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	for _, l := range Run(ctx, Config{OVSDB: "unix:" + dir + "/db.sock", OVSRundir: dir, Socket: dir + "/control.sock"}) {
		mustBeWhole(t, l)
	}
}
