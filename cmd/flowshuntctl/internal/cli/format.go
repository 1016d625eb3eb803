package cli

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

const (
	formatTable = "table"
	formatJSON  = "json"
	formatCSV   = "csv"
)

func checkFormat(s string) error {
	switch s {
	case formatTable, formatJSON, formatCSV:
		return nil
	}
	return usagef("--format %q: want table, json or csv", s)
}

// table is rows of text under headings.
type table struct {
	heads []string
	right []bool // columns of numbers
	rows  [][]string
}

// write aligns the columns two spaces apart. The last one is not padded, and
// indent stands before every line. An empty cell becomes "-".
func (t *table) write(w io.Writer, indent string) error {
	rows := t.rows
	if t.heads != nil {
		rows = append([][]string{t.heads}, rows...)
	}
	width := make([]int, len(t.right))
	for _, row := range rows {
		for i := range row {
			if row[i] = clean(row[i]); row[i] == "" {
				row[i] = "-"
			}
			width[i] = max(width[i], utf8.RuneCountInString(row[i]))
		}
	}
	var b bytes.Buffer
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
			if t.right[i] {
				line.WriteString(pad + cell + "  ")
			} else {
				line.WriteString(cell + pad + "  ")
			}
		}
		fmt.Fprintln(&b, indent+strings.TrimRight(line.String(), " "))
	}
	_, err := w.Write(b.Bytes())
	return err
}

// writeJSON writes one value, indented, without escaping < and >.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// writeCSV writes rows as RFC 4180 has it, CRLF included.
func writeCSV(w io.Writer, rows [][]string) error {
	c := csv.NewWriter(w)
	c.UseCRLF = true
	return c.WriteAll(rows)
}
