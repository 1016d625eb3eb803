package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) versionCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program",
		Long:  "version prints the version of this program. show prints that of the agent.",
		Args:  cobra.NoArgs,
		RunE:  a.run(func(context.Context, []string) error { return a.version() }),
	}
}

func (a *app) version() error {
	v := a.Version
	switch a.format {
	case formatJSON:
		return writeJSON(a.Stdout, struct {
			Version string `json:"version"`
			Commit  string `json:"commit"`
			Go      string `json:"go"`
		}{v.Version, v.Commit, v.Go})
	case formatCSV:
		return writeCSV(a.Stdout, [][]string{{"version", "commit", "go"}, {v.Version, v.Commit, v.Go}})
	default:
		_, err := fmt.Fprintf(a.Stdout, "flowshuntctl %s\n", v)
		return err
	}
}
