package layers

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/flowshunt/flowshunt"

// table lists the folders of each layer, lowest first. A folder stands for
// itself and everything below it; the longest match wins. A package may import
// lower layers and its own folder, never a neighbour and never upwards.
var table = [][]string{
	{"flows", "pkg/version"},
	{"flows/engine", "pkg/megaflow", "pkg/nlsocket"},
	{"pkg/conntrack", "pkg/tc", "pkg/openflow", "pkg/datapath", "pkg/dpctl", "pkg/ofproto", "pkg/tap", "pkg/link", "pkg/underlay", "pkg/devlink", "pkg/unixctl"},
	{"pkg/eswitch", "pkg/representor", "pkg/wire"},
	{"pkg/path", "pkg/inspect"},
	{"pkg/secgroup", "pkg/policy"},
	{"ovsdb"},
	// what fills the tables of secgroup and policy reads databases
	{"pkg/secgroup/ovn", "pkg/secgroup/file", "pkg/policy/ovsdb"},
	{"pkg/control", "pkg/openoffload", "pkg/ha", "pkg/metrics"},
	{"pkg/agent", "pkg/check"},
	{"cmd"},
}

// aside are folders that are no part of the product: nothing may import them.
var aside = []string{"hack", "e2e"}

// onlyStdlib are the packages that may import nothing from outside but these.
var onlyStdlib = map[string][]string{
	"flows":        nil,
	"flows/engine": {"flows"},
}

// pkg is what `go list -json` tells of a package.
type pkg struct {
	ImportPath string
	Imports    []string
}

func TestLayers(t *testing.T) {
	pkgs := list(t)
	if len(pkgs) == 0 {
		t.Fatal("go list names no package")
	}
	for _, complaint := range check(pkgs) {
		t.Error(complaint)
	}
}

// TestCheckComplains shows that each rule can fail.
func TestCheckComplains(t *testing.T) {
	tests := []struct{ name, from, imports, want string }{
		{"upwards", "pkg/tc", module + "/pkg/eswitch", "pkg/tc imports pkg/eswitch"},
		{"neighbour", "pkg/tc", module + "/pkg/conntrack", "pkg/tc imports pkg/conntrack"},
		{"subfolder upwards", "pkg/eswitch/model", module + "/pkg/agent", "pkg/eswitch/model imports pkg/agent"},
		{"pure table reads a database", "pkg/policy", module + "/ovsdb", "pkg/policy imports ovsdb"},
		{"command", "pkg/agent", module + "/cmd/flowshuntd", "pkg/agent imports cmd/flowshuntd"},
		{"command imports command", "cmd/flowshuntctl", module + "/cmd/flowshuntd", "a command"},
		{"vocabulary with a library", "flows", "golang.org/x/sys/unix", "flows imports golang.org/x/sys/unix"},
		{"core with a library", "flows/engine", "github.com/mdlayher/netlink", "flows/engine imports"},
		{"test code", "pkg/tc", "testing", "pkg/tc imports testing"},
		{"test helper", "pkg/agent", module + "/pkg/tc/tctest", "pkg/agent imports pkg/tc/tctest, which is for tests"},
		{"aside", "pkg/tc", module + "/e2e/harness", "pkg/tc imports e2e/harness"},
		{"unknown folder", "pkg/util", "fmt", "pkg/util is in no layer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := check([]pkg{{module + "/" + tt.from, []string{tt.imports}}})
			if len(got) != 1 || !strings.Contains(got[0], tt.want) {
				t.Errorf("check: %q, want one complaint about %q", got, tt.want)
			}
		})
	}
}

func TestCheckAccepts(t *testing.T) {
	got := check([]pkg{
		{module + "/flows", []string{"net/netip"}},
		{module + "/flows/engine", []string{"slices", module + "/flows"}},
		{module + "/pkg/eswitch/tc", []string{module + "/pkg/eswitch", module + "/pkg/tc", "golang.org/x/sys/unix"}},
		{module + "/pkg/policy/ovsdb", []string{module + "/pkg/policy", module + "/ovsdb"}},
		{module + "/cmd/flowshuntd", []string{module + "/pkg/agent"}},
		{module + "/cmd/flowshuntctl", []string{module + "/cmd/flowshuntctl/internal/cli"}},
		{module + "/pkg/tc/tctest", []string{"testing"}},
		{module + "/e2e/harness", []string{"testing", module + "/pkg/tc"}},
	})
	if len(got) != 0 {
		t.Errorf("check: %q, want no complaint", got)
	}
}

// check returns a complaint for every import that breaks a rule.
func check(pkgs []pkg) []string {
	var out []string
	for _, p := range pkgs {
		from := strings.TrimPrefix(p.ImportPath, module+"/")
		if within(from, aside) != "" {
			continue
		}
		level, folder := place(from)
		if level < 0 {
			out = append(out, from+" is in no layer: give it a place in the table")
			continue
		}
		for _, imp := range p.Imports {
			if c := complaint(from, level, folder, imp); c != "" {
				out = append(out, c)
			}
		}
	}
	return out
}

func complaint(from string, level int, folder, imp string) string {
	to, ours := strings.CutPrefix(imp, module+"/")
	says := from + " imports " + to
	if allowed, pure := onlyStdlib[from]; pure && !slices.Contains(allowed, to) && (ours || strings.Contains(imp, ".")) {
		return says + ": it may have only the standard library and " + fmt.Sprint(allowed)
	}
	if !ours {
		if (imp == "testing" || strings.HasPrefix(imp, "testing/")) && !strings.HasSuffix(from, "test") {
			return says + " outside tests"
		}
		return ""
	}
	toLevel, toFolder := place(to)
	switch {
	case within(to, aside) != "":
		return says + ", which is no part of the product"
	case toFolder == "cmd" && !strings.HasPrefix(to, from+"/internal/"):
		return says + ", a command"
	case strings.HasSuffix(to, "test") && !strings.HasSuffix(from, "test"):
		return says + ", which is for tests"
	case toLevel > level:
		return says + ", which is above it"
	case toLevel == level && toFolder != folder:
		return says + ", its neighbour"
	}
	return ""
}

// place returns a package's layer and the folder of the table it belongs to.
func place(path string) (level int, folder string) {
	level = -1
	for i, folders := range table {
		if f := within(path, folders); len(f) > len(folder) {
			level, folder = i, f
		}
	}
	return level, folder
}

// within returns the folder that contains path, or "".
func within(path string, folders []string) string {
	for _, f := range folders {
		if path == f || strings.HasPrefix(path, f+"/") {
			return f
		}
	}
	return ""
}

func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", module+"/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var pkgs []pkg
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p pkg
		switch err := dec.Decode(&p); {
		case errors.Is(err, io.EOF):
			return pkgs
		case err != nil:
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}
