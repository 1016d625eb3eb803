package dbctl

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"strings"
)

// Layout is how the rows of list and find are arranged.
type Layout string

// The layouts.
const (
	Stanzas Layout = "list" // a line for each column, a blank line between rows
	Columns Layout = "table"
	CSV     Layout = "csv" // as RFC 4180 has it, but for the ends of lines
	HTML    Layout = "html"
	Objects Layout = "json" // an object for each table
)

// ParseLayout reads the name of a layout.
func ParseLayout(name string) (Layout, error) {
	switch l := Layout(name); l {
	case Stanzas, Columns, CSV, HTML, Objects:
		return l, nil
	}
	return "", fmt.Errorf("no format is called %.64q: want table, list, html, csv or json", name)
}

// Format says how the output of a batch is written. The zero value is that of ovs-vsctl(8)
// without options.
type Format struct {
	Layout     Layout // "" = that of the listing, or else Stanzas
	Style      Style  // of cells; "" = that of the listing, or else Plain; of Objects always JSON
	NoHeadings bool
	MaxWidth   int  // of columns in Columns, in bytes; 0 = any
	Pretty     bool // Objects on several lines
	OneLine    bool // what commands print that are not list or find
}

// Print writes what the commands of a batch have printed, in their order.
func Print(w io.Writer, calls []*Call, f Format) error {
	var b bytes.Buffer
	tables := 0
	for _, c := range calls {
		switch {
		case c.Table != nil:
			if tables++; tables > 1 && f.Layout != Objects && f.Layout != HTML {
				b.WriteByte('\n')
			}
			f.table(&b, c.Table)
		case f.OneLine:
			text := strings.TrimSuffix(c.Output.String(), "\n")
			b.WriteString(oneLine.Replace(text) + "\n")
		default:
			b.WriteString(c.Output.String())
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

var oneLine = strings.NewReplacer("\n", `\n`, `\`, `\\`)

func (f Format) table(b *bytes.Buffer, l *Listing) {
	f.Layout = cmp.Or(f.Layout, l.Layout)
	f.Style = cmp.Or(f.Style, l.Style, Plain)
	switch f.Layout {
	case Columns:
		f.columns(b, l)
	case CSV:
		f.csv(b, l)
	case HTML:
		f.html(b, l)
	case Objects:
		f.objects(b, l)
	default:
		f.stanzas(b, l)
	}
}

// cells returns a row as text.
func (f Format) cells(l *Listing, row []Datum) []string {
	var cells []string
	for i, c := range l.Columns {
		cells = append(cells, f.Style.Datum(c.Type, row[i]))
	}
	return cells
}

func (l *Listing) headings() []string {
	var names []string
	for _, c := range l.Columns {
		names = append(names, c.Name)
	}
	return names
}

// headingWidth is that of Stanzas; longer names are not cut.
const headingWidth = 20

func (f Format) stanzas(b *bytes.Buffer, l *Listing) {
	for i, row := range l.Rows {
		if i > 0 {
			b.WriteByte('\n')
		}
		for j, cell := range f.cells(l, row) {
			if !f.NoHeadings {
				fmt.Fprintf(b, "%-*s: ", headingWidth, l.Columns[j].Name)
			}
			b.WriteString(cell + "\n")
		}
	}
}

// columns aligns by bytes, as ovs-vsctl does, so that scripts which cut at positions find the same.
func (f Format) columns(b *bytes.Buffer, l *Listing) {
	widths := make([]int, len(l.Columns))
	lines := make([][]string, 0, len(l.Rows)+2)
	for _, row := range l.Rows {
		cells := f.cells(l, row)
		for i, cell := range cells {
			widths[i] = max(widths[i], len(cell))
		}
		lines = append(lines, cells)
	}
	rules := make([]string, len(widths))
	for i := range widths {
		if f.MaxWidth > 0 {
			widths[i] = min(widths[i], f.MaxWidth)
		}
		if !f.NoHeadings {
			widths[i] = max(widths[i], len(l.Columns[i].Name))
		}
		rules[i] = strings.Repeat("-", widths[i])
	}
	if !f.NoHeadings {
		lines = append([][]string{l.headings(), rules}, lines...)
	}
	for _, cells := range lines {
		padding := 0
		for i, cell := range cells {
			cell = cell[:min(len(cell), widths[i])]
			if cell != "" {
				b.WriteString(strings.Repeat(" ", padding) + cell)
				padding = 0
			}
			padding += widths[i] - len(cell) + 1
		}
		b.WriteByte('\n')
	}
}

func (f Format) csv(b *bytes.Buffer, l *Listing) {
	if !f.NoHeadings {
		csvLine(b, l.headings())
	}
	for _, row := range l.Rows {
		csvLine(b, f.cells(l, row))
	}
}

func csvLine(b *bytes.Buffer, cells []string) {
	for i, cell := range cells {
		if i > 0 {
			b.WriteByte(',')
		}
		if strings.ContainsAny(cell, "\n\",") {
			cell = `"` + strings.ReplaceAll(cell, `"`, `""`) + `"`
		}
		b.WriteString(cell)
	}
	b.WriteByte('\n')
}
