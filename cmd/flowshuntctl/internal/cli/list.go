package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// column is one property of the rows of a list.
type column[T any] struct {
	name  string          // JSON key and csv heading
	head  string          // heading in the table, with its unit; empty: not shown there by default
	right bool            // a number
	value func(*T) any    // for json and csv
	cell  func(*T) string // for the table; nil: as in csv
}

// listFlags are the flags of commands that print a list.
type listFlags struct {
	columns    []string
	noHeadings bool
}

func (f *listFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&f.columns, "columns", nil, "only these columns, by their csv `names`, in this order")
	cmd.Flags().BoolVar(&f.noHeadings, "no-headings", false, "leave out the headings of table and csv")
}

// choose returns the columns to print.
func choose[T any](f *listFlags, format string, all []column[T]) ([]column[T], error) {
	if len(f.columns) == 0 {
		if format != formatTable {
			return all, nil
		}
		return slices.DeleteFunc(slices.Clone(all), func(c column[T]) bool { return c.head == "" }), nil
	}
	var out []column[T]
	for _, name := range f.columns {
		i := slices.IndexFunc(all, func(c column[T]) bool { return c.name == name })
		if i < 0 {
			return nil, usagef("--columns: no column %q; there are %s", name, strings.Join(columnNames(all), ", "))
		}
		out = append(out, all[i])
	}
	return out, nil
}

func columnNames[T any](all []column[T]) []string {
	names := make([]string, len(all))
	for i := range all {
		names[i] = all[i].name
	}
	return names
}

// writeList prints rows in the format asked for.
func writeList[T any](w io.Writer, format string, f *listFlags, all []column[T], rows []T) error {
	cols, err := choose(f, format, all)
	if err != nil {
		return err
	}
	switch format {
	case formatJSON:
		return listJSON(w, cols, rows)
	case formatCSV:
		return listCSV(w, f, cols, rows)
	default:
		return listTable(w, f, cols, rows)
	}
}

func listTable[T any](w io.Writer, f *listFlags, cols []column[T], rows []T) error {
	t := table{}
	for _, c := range cols {
		t.right = append(t.right, c.right)
		if !f.noHeadings {
			t.heads = append(t.heads, c.heading())
		}
	}
	for i := range rows {
		line := make([]string, len(cols))
		for j, c := range cols {
			line[j] = c.text(&rows[i])
		}
		t.rows = append(t.rows, line)
	}
	return t.write(w, "")
}

func (c *column[T]) heading() string {
	if c.head != "" {
		return c.head
	}
	return strings.ToUpper(c.name)
}

func (c *column[T]) text(row *T) string {
	if c.cell != nil {
		return c.cell(row)
	}
	return plain(c.value(row))
}

func listCSV[T any](w io.Writer, f *listFlags, cols []column[T], rows []T) error {
	var out [][]string
	if !f.noHeadings {
		out = append(out, columnNames(cols))
	}
	for i := range rows {
		line := make([]string, len(cols))
		for j, c := range cols {
			line[j] = clean(plain(c.value(&rows[i])))
		}
		out = append(out, line)
	}
	return writeCSV(w, out)
}

// plain writes a value without any shortening.
func plain(v any) string {
	switch v := v.(type) {
	case time.Time:
		if v.IsZero() {
			return ""
		}
		return v.UTC().Format(time.RFC3339Nano)
	case []uint16:
		return strings.Trim(fmt.Sprint(v), "[]")
	default:
		return fmt.Sprint(v)
	}
}

// listJSON writes an array with one row on each line, keys in column order.
func listJSON[T any](w io.Writer, cols []column[T], rows []T) error {
	var b bytes.Buffer
	b.WriteByte('[')
	for i := range rows {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n  ")
		if err := rowJSON(&b, cols, &rows[i]); err != nil {
			return err
		}
	}
	if len(rows) > 0 {
		b.WriteByte('\n')
	}
	b.WriteString("]\n")
	_, err := w.Write(b.Bytes())
	return err
}

func rowJSON[T any](b *bytes.Buffer, cols []column[T], row *T) error {
	for i, c := range cols {
		sep := ", "
		if i == 0 {
			sep = "{"
		}
		fmt.Fprintf(b, "%s%q: ", sep, c.name)
		e := json.NewEncoder(b)
		e.SetEscapeHTML(false)
		if err := e.Encode(jsonValue(c.value(row))); err != nil {
			return err
		}
		b.Truncate(b.Len() - 1) // Encode ends with a line break
	}
	b.WriteByte('}')
	return nil
}

// jsonValue writes an unknown time as null instead of the year 1.
func jsonValue(v any) any {
	if t, ok := v.(time.Time); ok && t.IsZero() {
		return nil
	}
	return v
}
