package cli

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"
)

// Reference writes the reference page of flowshuntd, in Markdown.
func Reference(w io.Writer) error {
	cmd := command(nil)
	var b bytes.Buffer
	fmt.Fprintln(&b, "<!-- Generated from the flags themselves: go generate ./cmd/flowshuntd/... -->")
	fmt.Fprintf(&b, "\n# flowshuntd\n\n    %s\n\n%s\n\nExit codes:\n\n%s\n", cmd.UseLine(), long,
		"    "+strings.ReplaceAll(exitHelp, "\n", "\n    "))
	fmt.Fprint(&b, "\n## Flags\n\n| flag | default | meaning |\n|---|---|---|\n")
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) { writeFlag(&b, f) })
	_, err := w.Write(b.Bytes())
	return err
}

func writeFlag(b *bytes.Buffer, f *pflag.Flag) {
	if f.Hidden || f.Name == "help" || f.Name == "version" {
		return
	}
	value := ""
	if f.DefValue != "" {
		value = "`" + f.DefValue + "`"
	}
	name, meaning := pflag.UnquoteUsage(f)
	flag := "--" + f.Name
	if name != "" {
		flag += " " + name
	}
	fmt.Fprintf(b, "| `%s` | %s | %s |\n", flag, value, strings.ReplaceAll(meaning, "|", "\\|"))
}
