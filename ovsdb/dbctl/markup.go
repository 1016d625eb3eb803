package dbctl

import (
	"bytes"
	"fmt"
	"strings"
)

// objects writes {"data":[[...]...],"headings":[...]}.
func (f Format) objects(b *bytes.Buffer, l *Listing) {
	data := make([]byte, 0, 4096)
	data = append(data, `{"data":[`...)
	for i, row := range l.Rows {
		data = append(comma(data, i), '[')
		for j, c := range l.Columns {
			data = names(nil).datum(comma(data, j), c.Type, row[j])
		}
		data = append(data, ']')
	}
	data = append(data, `],"headings":[`...)
	for i, c := range l.Columns {
		data = quote(comma(data, i), c.Name)
	}
	data = append(data, "]}"...)
	if f.Pretty {
		data = pretty(data)
	}
	b.Write(append(data, '\n'))
}

// pretty puts each element of compact JSON on a line of its own, the closing brackets behind the last.
func pretty(data []byte) []byte {
	var out []byte
	depth, quoted := 0, false
	newline := func() {
		out = append(out, '\n')
		out = append(out, strings.Repeat("  ", depth)...)
	}
	for i := 0; i < len(data); i++ {
		c := data[i]
		out = append(out, c)
		switch {
		case quoted && c == '\\':
			i++
			out = append(out, data[i])
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			if depth++; data[i+1] != c+2 { // not the empty one: ] and } are two behind [ and {
				newline()
			}
		case c == ']' || c == '}':
			depth--
		case c == ',':
			newline()
		case c == ':':
			out = append(out, ' ')
		}
	}
	return out
}

// html writes a table whose uuids are links to the rows that have them.
func (f Format) html(b *bytes.Buffer, l *Listing) {
	b.WriteString("<table border=1>\n")
	if !f.NoHeadings {
		htmlRow(b, "th", l.headings())
	}
	for _, row := range l.Rows {
		cells := f.cells(l, row)
		for i, cell := range cells {
			if l.Columns[i] == uuidColumn {
				cells[i] = fmt.Sprintf(`<a name="%s">%s</a>`, escape(cell), escape(cell[:min(8, len(cell))]))
			} else {
				cells[i] = linked(cell)
			}
		}
		htmlRow(b, "td", cells)
	}
	b.WriteString("</table>\n")
}

func htmlRow(b *bytes.Buffer, tag string, cells []string) {
	b.WriteString("  <tr>\n")
	for _, cell := range cells {
		fmt.Fprintf(b, "    <%s>%s</%[1]s>\n", tag, cell)
	}
	b.WriteString("  </tr>\n")
}

// linked escapes a cell and makes links of the uuids in it.
func linked(cell string) string {
	var b strings.Builder
	for n := len(zeroUUID); cell != ""; {
		if uuid := cell[:min(n, len(cell))]; len(uuid) == n && likeUUID(uuid) {
			fmt.Fprintf(&b, `<a href="#%s">%s</a>`, uuid, uuid[:8])
			cell = cell[n:]
			continue
		}
		b.WriteString(escape(cell[:1]))
		cell = cell[1:]
	}
	return b.String()
}

func escape(text string) string { return specials.Replace(text) }

// specials of HTML.
var specials = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")
