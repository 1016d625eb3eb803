// Package userspace tells stories on the userspace datapath of Open vSwitch. They need
// no kernel module, so they run on any machine, with the tests of packages.
package userspace

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

// run builds what stories start, unless somebody has.
func run(m *testing.M) int {
	for env, packages := range map[string][]string{
		"FLOWSHUNT_BIN":     {"../../cmd/flowshuntd", "../../cmd/flowshuntctl"},
		"FLOWSHUNT_TRAFFIC": {"../traffic"},
	} {
		if os.Getenv(env) != "" {
			continue
		}
		dir, err := os.MkdirTemp("", "flowshunt-build-")
		if err != nil {
			return fail(err)
		}
		defer os.RemoveAll(dir)
		target := dir + "/"
		if env == "FLOWSHUNT_TRAFFIC" {
			target = dir + "/traffic"
			os.Setenv(env, target)
		} else {
			os.Setenv(env, dir)
		}
		out, err := exec.Command("go", append([]string{"build", "-o", target}, packages...)...).CombinedOutput()
		if err != nil {
			return fail(fmt.Errorf("go build: %w\n%s", err, out))
		}
	}
	return harness.Main(m)
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// dependOnPrograms lets go test know that a result depends on what stories start: it
// notes which files of the module a test looks at.
func dependOnPrograms(t testing.TB) {
	t.Helper()
	for _, dir := range []string{"cmd", "flows", "ovsdb", "pkg", "e2e/traffic"} {
		err := filepath.WalkDir(filepath.Join("../..", dir), func(path string, _ os.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, ".go") {
				_, err = os.Stat(path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
