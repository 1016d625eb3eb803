package cli

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/flowshunt/flowshunt/flows"
)

// Reference writes the reference page of a command tree, in Markdown.
func Reference(w io.Writer, root *cobra.Command) error {
	var b bytes.Buffer
	fmt.Fprintln(&b, "<!-- Generated from the commands themselves: go generate ./cmd/flowshuntctl/... -->")
	fmt.Fprintf(&b, "\n# %s\n\n%s\n", root.Name(), block(root.Long))
	fmt.Fprintf(&b, "\nFlags of every command:\n\n%s\n", flagBlock(root.PersistentFlags()))
	writeGroup(&b, root, groupAgent, "##")
	writeReasons(&b)
	fmt.Fprintf(&b, "\n## Database commands\n\n%s\n", block(databaseHelp))
	fmt.Fprintf(&b, "\nFlags of every database command:\n\n%s\n", flagBlock(newApp(Env{}).batchFlags()))
	writeGroup(&b, root, groupDatabase, "###")
	_, err := w.Write(b.Bytes())
	return err
}

// writeGroup writes the commands of a group, each under a heading.
func writeGroup(b *bytes.Buffer, root *cobra.Command, group, heading string) {
	for _, cmd := range root.Commands() {
		if cmd.GroupID == group && cmd.Runnable() {
			fmt.Fprintf(b, "\n%s %s\n", heading, cmd.Name())
			commandReference(b, cmd)
		}
	}
}

func commandReference(b *bytes.Buffer, cmd *cobra.Command) {
	fmt.Fprintf(b, "\n    %s\n\n%s\n", cmd.UseLine(), cmd.Long)
	if cmd.Example != "" {
		fmt.Fprintf(b, "\nExamples:\n\n%s\n", block(cmd.Example))
	}
	if flags := ownFlags(cmd); flags.HasAvailableFlags() {
		fmt.Fprintf(b, "\nFlags:\n\n%s\n", flagBlock(flags))
	}
}

// ownFlags are those that a command does not have in common with its group.
func ownFlags(cmd *cobra.Command) *pflag.FlagSet {
	flags := cmd.LocalNonPersistentFlags()
	if cmd.GroupID != groupDatabase {
		return flags
	}
	own := pflag.NewFlagSet("", pflag.ContinueOnError)
	common := newApp(Env{}).batchFlags()
	flags.VisitAll(func(f *pflag.Flag) {
		if common.Lookup(f.Name) == nil && f.Name != "help" {
			own.AddFlag(f)
		}
	})
	return own
}

func flagBlock(flags *pflag.FlagSet) string {
	out := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Name != "help" {
			out.AddFlag(f)
		}
	})
	return block(strings.TrimRight(out.FlagUsages(), "\n"))
}

// block indents text as Markdown wants preformatted text.
func block(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		if line != "" {
			lines[i] = "    " + line
		}
	}
	return strings.Join(lines, "\n")
}

func writeReasons(b *bytes.Buffer) {
	fmt.Fprint(b, "\n## Reasons\n\nWhat `sessions` and `why` give as the reason for a treatment:\n\n| reason | meaning |\n|---|---|\n")
	for _, r := range sortedReasons() {
		fmt.Fprintf(b, "| `%s` | %s |\n", r, meaning(r))
	}
}

func sortedReasons() []flows.Reason {
	var list []flows.Reason
	for r := range meanings {
		list = append(list, r)
	}
	slices.Sort(list)
	return list
}
