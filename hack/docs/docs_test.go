package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// pages returns the pages written by hand.
func pages(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob(root + "/docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	decisions, err := filepath.Glob(root + "/docs/decisions/*.md")
	if err != nil {
		t.Fatal(err)
	}
	text := make(map[string]string)
	for _, name := range append(append(names, decisions...), root+"/README.md") {
		page, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text[name] = string(page)
	}
	return text
}

var link = regexp.MustCompile(`\]\(([^)#:]+)\)`)

func TestLinksLead(t *testing.T) {
	for name, page := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(page, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(name), m[1])); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

var makeTarget = regexp.MustCompile("(?m)(?:^|`)make ([a-z][a-z0-9-]*)")

func TestMakeTargetsExist(t *testing.T) {
	makefile, err := os.ReadFile(root + "/Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for name, page := range pages(t) {
		for _, m := range makeTarget.FindAllStringSubmatch(page, -1) {
			if !strings.Contains(string(makefile), "\n"+m[1]+":") {
				t.Errorf("%s: make has no target %q", name, m[1])
			}
		}
	}
}

var (
	call = regexp.MustCompile("(?m)(?:^|`| )(?:bin/)?(flowshuntd|flowshuntctl)((?: +[^`#\n]+)?)")
	flag = regexp.MustCompile(`--([a-z][a-z0-9-]*)`)
	lone = regexp.MustCompile("`--([a-z][a-z0-9-]*)")
)

// TestCommandsExist asks the programs themselves what they know.
func TestCommandsExist(t *testing.T) {
	help := helpTexts(t)
	seen := 0
	for name, page := range pages(t) {
		if strings.HasSuffix(name, "cli.md") || strings.HasSuffix(name, "flowshuntd.md") {
			continue // generated
		}
		for _, m := range call.FindAllStringSubmatch(codeOf(page), -1) {
			seen++
			checkCall(t, name, help, m[1], m[2])
		}
		for _, m := range lone.FindAllStringSubmatch(page, -1) {
			if !slices.ContainsFunc(help.texts(), func(h string) bool { return strings.Contains(h, "--"+m[1]) }) {
				t.Errorf("%s: no program has a flag --%s", name, m[1])
			}
		}
	}
	if seen < 10 {
		t.Errorf("only %d commands found in the pages: does the pattern still fit?", seen)
	}
}

// codeOf returns the code of a page: indented or fenced blocks and spans.
func codeOf(page string) string {
	var out strings.Builder
	fenced := false
	for line := range strings.SplitSeq(page, "\n") {
		switch {
		case strings.HasPrefix(line, "```"):
			fenced = !fenced
		case fenced || strings.HasPrefix(line, "    "):
			out.WriteString(strings.TrimSpace(line) + "\n")
		default:
			for i, span := range strings.Split(line, "`") {
				if i%2 == 1 {
					out.WriteString(span + "\n")
				}
			}
		}
	}
	return out.String()
}

func checkCall(t *testing.T, page string, help helps, program, args string) {
	t.Helper()
	fields := strings.Fields(args)
	text := help[program]
	// a batch: of several commands, or with the options of its first one before that
	if batch := strings.HasPrefix(strings.TrimSpace(args), "--") || strings.Contains(args, " -- "); program == "flowshuntctl" && batch {
		text = strings.Join(help.texts(), "\n")
	} else if program == "flowshuntctl" && len(fields) > 0 && !strings.HasPrefix(fields[0], "-") {
		text = help[fields[0]]
		if text == "" {
			t.Errorf("%s: flowshuntctl has no command %q", page, fields[0])
			return
		}
	}
	for _, m := range flag.FindAllStringSubmatch(args, -1) {
		if !strings.Contains(text, "--"+m[1]) {
			t.Errorf("%s: %s %s: no flag --%s", page, program, strings.Join(fields, " "), m[1])
		}
	}
}

// listed is a command in the help of flowshuntctl.
var listed = regexp.MustCompile(`(?m)^  ([a-z-]+) +[A-Z]`)

// helps are the help texts by program and by command of flowshuntctl.
type helps map[string]string

func (h helps) texts() (list []string) {
	for _, text := range h {
		list = append(list, text)
	}
	return list
}

func helpTexts(t *testing.T) helps {
	t.Helper()
	bin := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", bin, root+"/cmd/...").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	h := make(helps)
	ask := func(name string, args ...string) {
		out, err := exec.Command(filepath.Join(bin, args[0]), append(args[1:], "--help")...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v --help: %v: %s", args, err, out)
		}
		h[name] = string(out)
	}
	ask("flowshuntd", "flowshuntd")
	ask("flowshuntctl", "flowshuntctl")
	commands := listed.FindAllStringSubmatch(h["flowshuntctl"], -1)
	if len(commands) < 5 {
		t.Fatalf("flowshuntctl --help lists %d commands: does the pattern still fit?", len(commands))
	}
	for _, m := range commands {
		ask(m[1], "flowshuntctl", m[1])
	}
	return h
}

// docs/paths.md has each reason for which a path is refused, and names tests that exist.
func TestPathsAreWhole(t *testing.T) {
	page, err := os.ReadFile(root + "/docs/paths.md")
	if err != nil {
		t.Fatal(err)
	}
	reasons, err := os.ReadFile(root + "/flows/reason.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, reason := range regexp.MustCompile(`"path-unsupported/[a-z-]+"`).FindAllString(string(reasons), -1) {
		if !strings.Contains(string(page), "`"+strings.Trim(reason, `"`)+"`") {
			t.Errorf("docs/paths.md has no row for %s", reason)
		}
	}
	tests, err := exec.Command("grep", "-rhoE", "--include=*_test.go", "^func Test[A-Za-z0-9]+", root+"/e2e", root+"/pkg", root+"/flows").Output()
	if err != nil {
		t.Fatal(err)
	}
	exist := strings.Fields(strings.ReplaceAll(string(tests), "func ", ""))
	for _, name := range regexp.MustCompile("`(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(string(page), -1) {
		if !slices.Contains(exist, name[1]) {
			t.Errorf("docs/paths.md names %s, which does not exist", name[1])
		}
	}
}
