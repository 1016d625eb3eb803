package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manCmd writes the man pages, for packagers.
func (a *app) manCmd() *cobra.Command {
	return &cobra.Command{
		Use: "man <directory>", Hidden: true, Short: "Write the man pages", Args: cobra.ExactArgs(1),
		Long: "man writes a man page of each command, and one of the program, into a directory that exists.",
		RunE: a.run(func(_ context.Context, args []string) error { return a.writeMan(args[0]) }),
	}
}

func (a *app) writeMan(dir string) error {
	root := newApp(a.Env).tree()
	pages := append([]*cobra.Command{root}, pageCommands(root)...)
	for _, cmd := range pages {
		var page bytes.Buffer
		Man(&page, cmd)
		if err := os.WriteFile(filepath.Join(dir, manName(cmd)+".8"), page.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// pageCommands are the commands that a person is told of.
func pageCommands(root *cobra.Command) (list []*cobra.Command) {
	for _, cmd := range root.Commands() {
		if cmd.IsAvailableCommand() || cmd.IsAdditionalHelpTopicCommand() {
			list = append(list, cmd)
		}
	}
	return list
}

func manName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// Man writes the man page of a command in the macros of man(7).
func Man(w io.Writer, cmd *cobra.Command) {
	fmt.Fprintf(w, ".TH %s 8 \"\" Flowshunt \"Flowshunt manual\"\n", strings.ToUpper(roff(manName(cmd))))
	fmt.Fprintf(w, ".SH NAME\n%s \\- %s\n", roff(manName(cmd)), roff(cmd.Short))
	fmt.Fprintf(w, ".SH SYNOPSIS\n.B %s\n", roff(cmd.UseLine()))
	fmt.Fprintf(w, ".SH DESCRIPTION\n%s", verbatim(cmd.Long))
	if cmd.Example != "" {
		fmt.Fprintf(w, ".SH EXAMPLES\n%s", verbatim(cmd.Example))
	}
	if !cmd.HasParent() {
		fmt.Fprint(w, ".SH COMMANDS\n")
		for _, sub := range pageCommands(cmd) {
			fmt.Fprintf(w, ".TP\n.BR %s (8)\n%s\n", roff(manName(sub)), roff(sub.Short))
		}
	}
	manFlags(w, "OPTIONS", cmd.NonInheritedFlags())
	if cmd.HasParent() {
		manFlags(w, "OPTIONS OF EVERY COMMAND", cmd.InheritedFlags())
		fmt.Fprintf(w, ".SH SEE ALSO\n.BR %s (8)\n", roff(manName(cmd.Root())))
	}
}

func manFlags(w io.Writer, title string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	fmt.Fprintf(w, ".SH %s\n", title)
	flags.VisitAll(func(f *pflag.Flag) {
		value, usage := pflag.UnquoteUsage(f)
		name := "--" + f.Name
		if value != "" {
			name += "=" + value
		}
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		fmt.Fprintf(w, ".TP\n.B %s\n%s\n", roff(name), roff(usage))
	})
}

// verbatim keeps the lines of a text as they are, for they are as wide as a terminal and some
// are commands.
func verbatim(text string) string {
	var b strings.Builder
	b.WriteString(".nf\n")
	for line := range strings.Lines(strings.TrimRight(text, "\n") + "\n") {
		b.WriteString(roff(strings.TrimSuffix(line, "\n")) + "\n")
	}
	return b.String() + ".fi\n"
}

// roff writes text so that groff takes none of it for a request or an escape, and prints what
// is typed in commands as ASCII (groff_char(7)).
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, `-`, `\-`, `'`, `\(aq`, "`", `\(ga`, `^`, `\(ha`, `~`, `\(ti`).Replace(s)
	if strings.HasPrefix(s, ".") {
		s = `\&` + s
	}
	return s
}
