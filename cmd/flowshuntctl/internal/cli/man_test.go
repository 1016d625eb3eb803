package cli

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Every command has a page, which says what its help says and has no error in it.
func TestManPages(t *testing.T) {
	dir := t.TempDir()
	if err := newApp(Env{}).writeMan(dir); err != nil {
		t.Fatal(err)
	}
	root := New(Env{})
	for _, cmd := range root.Commands() {
		if cmd.Hidden || cmd.Name() == "help" {
			continue
		}
		page, err := os.ReadFile(filepath.Join(dir, "flowshuntctl-"+cmd.Name()+".8"))
		if err != nil {
			t.Error(err)
			continue
		}
		for _, section := range []string{".SH NAME\n", ".SH SYNOPSIS\n", ".SH DESCRIPTION\n"} {
			if !bytes.Contains(page, []byte(section)) {
				t.Errorf("%s: no %q", cmd.Name(), section)
			}
		}
		for line := range strings.Lines(string(page)) {
			if strings.HasPrefix(line, "'") || strings.HasPrefix(line, ". ") {
				t.Errorf("%s: groff takes this for a request: %q", cmd.Name(), line)
			}
		}
	}
	pages, err := filepath.Glob(filepath.Join(dir, "*.8"))
	if err != nil {
		t.Fatal(err)
	}
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Logf("groff is not installed: the %d pages are not formatted", len(pages))
		return
	}
	for _, page := range pages {
		cmd := exec.Command(groff, "-man", "-Tascii", "-ww", page)
		var said strings.Builder
		cmd.Stderr = &said
		if err := cmd.Run(); err != nil || said.Len() > 0 {
			t.Errorf("%s: %v\n%s", page, err, said.String())
		}
	}
}

func TestRoff(t *testing.T) {
	for in, want := range map[string]string{
		".only": `\&.only`, `a\b`: `a\eb`, "--x='y'": `\-\-x=\(aqy\(aq`, "'q": `\(aqq`, "": "",
	} {
		if got := roff(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
