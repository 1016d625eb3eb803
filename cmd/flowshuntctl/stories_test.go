package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/cmd/flowshuntctl/internal/cli"
)

// stories tells of each command how often scripts see it succeed and fail. Of a batch all its
// commands do.
func stories(t *testing.T, commands []string) (succeed, fail map[string]int) {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	succeed, fail = make(map[string]int), make(map[string]int)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		script, _, _ := strings.Cut(string(text), "\n-- ")
		for line := range strings.Lines(script) {
			code, words := story(strings.Fields(line))
			for _, w := range words {
				switch {
				case !slices.Contains(commands, w):
				case code == "0":
					succeed[w]++
				default:
					fail[w]++
				}
			}
		}
	}
	return succeed, fail
}

// story returns the exit code that a line of a script wants, and the words that are where a
// command can be: the first that is no option, and the next one behind each --.
func story(line []string) (code string, words []string) {
	skip := map[string]int{"exits": 2, "nobody": 3}
	if len(line) > 0 && line[0] == "!" {
		line = line[1:]
	}
	if len(line) == 0 || skip[line[0]] == 0 || len(line) <= skip[line[0]] {
		return "", nil
	}
	n := skip[line[0]]
	code, due := line[n-1], true
	for _, w := range line[n:] {
		switch {
		case w == "--":
			due = true
		case due && !strings.HasPrefix(w, "-"):
			words, due = append(words, w), false
		}
	}
	return code, words
}

// Every command has a story in which it does what it is for, and one in which it cannot.
func TestEveryCommandHasStories(t *testing.T) {
	var commands []string
	for _, cmd := range cli.New(cli.Env{}).Commands() {
		if cmd.Runnable() && (!cmd.Hidden || cmd.Name() == "man") {
			commands = append(commands, cmd.Name())
		}
	}
	succeed, fail := stories(t, commands)
	for _, name := range commands {
		if succeed[name] == 0 {
			t.Errorf("%s: no script in testdata sees it succeed", name)
		}
		if fail[name] == 0 {
			t.Errorf("%s: no script in testdata sees it fail", name)
		}
	}
}
