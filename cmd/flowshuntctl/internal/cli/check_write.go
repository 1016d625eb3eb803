package cli

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/flowshunt/flowshunt/pkg/check"
)

func (a *app) writeCheck(lines []check.Line, verbose bool) error {
	switch a.format {
	case formatJSON:
		return writeJSON(a.Stdout, checkDocument(lines))
	case formatCSV:
		return writeCSV(a.Stdout, checkRows(lines))
	}
	var b bytes.Buffer
	group := ""
	for _, l := range lines {
		if l.Group != group {
			if group != "" {
				fmt.Fprintln(&b)
			}
			group = l.Group
			fmt.Fprintln(&b, group)
		}
		writeCheckLine(&b, l, verbose)
	}
	fmt.Fprintf(&b, "\n%s\n", checkSummary(lines))
	_, err := a.Stdout.Write(b.Bytes())
	return err
}

// writeCheckLine writes what was found and, below, why that matters and what to do.
func writeCheckLine(b *bytes.Buffer, l check.Line, verbose bool) {
	below := func(word, text string) { fmt.Fprintf(b, "%12s%-4s %s\n", "", word, clean(text)) }
	fmt.Fprintf(b, "  %-8s %s: %s\n", l.Status, clean(l.Name), clean(l.Found))
	if l.Why != "" {
		below("why", l.Why)
	}
	for i, command := range l.Fix {
		word := "do"
		if i > 0 {
			word = ""
		}
		below(word, command)
	}
	if verbose {
		for _, d := range l.Detail {
			below("", "- "+d)
		}
	}
}

func count(lines []check.Line, s check.Status) (n int) {
	for _, l := range lines {
		if l.Status == s {
			n++
		}
	}
	return n
}

func checkSummary(lines []check.Line) string {
	parts := []string{fmt.Sprintf("%d ok", count(lines, check.OK))}
	if n := count(lines, check.Warning); n > 0 {
		parts = append(parts, plural(n, "warning", "warnings"))
	}
	if n := count(lines, check.Fatal); n > 0 {
		parts = append(parts, fmt.Sprintf("%d fatal", n))
	}
	if n := count(lines, check.Unknown); n > 0 {
		parts = append(parts, fmt.Sprintf("%d unknown", n))
	}
	return strings.Join(parts, ", ")
}

type checkLineJSON struct {
	Group     string   `json:"group"`
	Name      string   `json:"name"`
	Status    string   `json:"status"`
	Found     string   `json:"found"`
	Why       string   `json:"why,omitempty"`
	Fix       []string `json:"fix,omitempty"`
	Detail    []string `json:"detail,omitempty"`
	NeedsRoot bool     `json:"needs_root,omitempty"`
}

func checkDocument(lines []check.Line) any {
	list := make([]checkLineJSON, len(lines))
	for i, l := range lines {
		list[i] = checkLineJSON{l.Group, l.Name, l.Status.String(), l.Found, l.Why, l.Fix, l.Detail, l.Root}
	}
	return struct {
		OK       int             `json:"ok"`
		Warnings int             `json:"warnings"`
		Fatal    int             `json:"fatal"`
		Unknown  int             `json:"unknown"`
		Lines    []checkLineJSON `json:"lines"`
	}{count(lines, check.OK), count(lines, check.Warning), count(lines, check.Fatal), count(lines, check.Unknown), list}
}

func checkRows(lines []check.Line) [][]string {
	rows := [][]string{{"group", "name", "status", "found", "why", "fix"}}
	for _, l := range lines {
		rows = append(rows, []string{l.Group, l.Name, l.Status.String(), l.Found, l.Why, strings.Join(l.Fix, "; ")})
	}
	return rows
}
