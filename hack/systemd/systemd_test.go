package systemd

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/pkg/control"
)

const unit = "flowshuntd.service"

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// setting returns the value of a setting that stands once in the unit.
func setting(t *testing.T, name string) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^`+name+`=(.*)$`).FindAllStringSubmatch(read(t, unit), -1)
	if len(found) != 1 {
		t.Fatalf("%s stands there %d times", name, len(found))
	}
	return found[0][1]
}

// script writes an executable.
func script(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// installed returns the directory of a copy of the units whose programs exist.
func installed(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	text := read(t, unit)
	for _, program := range []string{"/usr/sbin/flowshuntd", "/usr/bin/flowshuntctl"} {
		if !strings.Contains(text, program) {
			t.Fatalf("%s is not run", program)
		}
		here := filepath.Join(dir, filepath.Base(program))
		script(t, here, `echo "$0 $*"`)
		text = strings.ReplaceAll(text, program, here)
	}
	if err := os.WriteFile(filepath.Join(dir, unit), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestVerify(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	dir := installed(t)
	out, err := exec.Command("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", filepath.Join(dir, unit)).CombinedOutput()
	if err != nil || strings.Contains(string(out), unit) {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

// The units of the policy database are good, and call a command line that there is.
func TestDatabaseUnits(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "flowshuntctl")
	if out, err := exec.Command("go", "build", "-o", program, "../../cmd/flowshuntctl").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	verify := []string{"verify", "--man=no", "--recursive-errors=no"}
	for _, name := range []string{"flowshunt-db.service", "flowshunt-db.path"} {
		text := strings.ReplaceAll(read(t, name), "/usr/bin/flowshuntctl", program)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		verify = append(verify, filepath.Join(dir, name))
	}
	out, err := exec.Command("systemd-analyze", verify...).CombinedOutput()
	if err != nil || strings.Contains(string(out), "flowshunt-db") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	command := regexp.MustCompile(`(?m)^ExecStart=/usr/bin/flowshuntctl (.*)$`).FindStringSubmatch(read(t, "flowshunt-db.service"))
	if command == nil {
		t.Fatal("flowshuntctl is not run")
	}
	cmd := exec.Command(program, append(strings.Fields(command[1]), "--print-schema")...)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), `"Flowshunt"`) {
		t.Errorf("flowshuntctl %s: %v\n%s", command[1], err, out)
	}
}

// TestStopPost runs what systemd runs after the agent, for each way to end.
func TestStopPost(t *testing.T) {
	text := read(t, filepath.Join(installed(t), unit))
	found := regexp.MustCompile(`(?m)^ExecStopPost=/bin/sh -c '(.*)'$`).FindStringSubmatch(text)
	if found == nil {
		t.Fatal("there is no ExecStopPost")
	}
	command := strings.ReplaceAll(found[1], "$$", "$") // as systemd does
	for _, tt := range []struct {
		code, status string
		flushes      bool
	}{
		{"exited", "0", false}, // did what --on-exit says
		{"exited", "1", true},
		{"exited", "2", true}, // a panic
		{"exited", "64", true},
		{"killed", "KILL", true},
		{"killed", "TERM", true}, // systemd calls that a success
		{"dumped", "ABRT", true}, // the watchdog
		{"", "", true},           // was never started
	} {
		cmd := exec.Command("/bin/sh", "-c", command)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "EXIT_CODE=" + tt.code, "EXIT_STATUS=" + tt.status}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s/%s: %v\n%s", tt.code, tt.status, err, out)
		}
		if strings.Contains(string(out), "flowshuntctl flush") != tt.flushes {
			t.Errorf("%s/%s: did %q", tt.code, tt.status, out)
		}
	}
}

// The control socket is where the unit makes a directory for it.
func TestRuntimeDirectory(t *testing.T) {
	if want := "/run/" + setting(t, "RuntimeDirectory"); filepath.Dir(control.DefaultSocket) != want {
		t.Errorf("the socket is %s, the directory %s", control.DefaultSocket, want)
	}
}

// What the preflight demands is what the packaged file sets.
func TestSysctl(t *testing.T) {
	have := read(t, "sysctl.d/60-flowshunt.conf")
	for _, name := range regexp.MustCompile(`name: "(\w+)"`).FindAllStringSubmatch(read(t, "../../pkg/conntrack/preflight.go"), -1) {
		if !strings.Contains(have, "\nnet.netfilter."+name[1]+" = 1\n") {
			t.Errorf("%s is demanded and not set", name[1])
		}
	}
}
