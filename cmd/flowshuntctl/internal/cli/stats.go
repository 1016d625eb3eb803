package cli

import (
	"context"
	"encoding/json"
	"maps"

	"github.com/spf13/cobra"

	"github.com/flowshunt/flowshunt/pkg/control"
)

func (a *app) statsCmd() *cobra.Command {
	var f listFlags
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Print all counters and gauges of the agent",
		Long:  "stats prints all counters and gauges of the agent, sorted. The unit of a value is the end of its name.",
		Args:  cobra.NoArgs,
		RunE:  a.run(func(ctx context.Context, _ []string) error { return a.stats(ctx, &f) }),
	}
	f.add(cmd)
	return cmd
}

func (a *app) stats(ctx context.Context, f *listFlags) error {
	if _, err := choose(f, a.format, statColumns()); err != nil {
		return err
	}
	return a.ask(ctx, func(c *control.Client) error {
		list, err := c.Stats(ctx)
		if err != nil {
			return err
		}
		return writeList(a.Stdout, a.format, f, statColumns(), list)
	})
}

func statColumns() []column[control.Stat] {
	type S = control.Stat
	return []column[S]{
		{name: "name", head: "NAME", value: func(s *S) any { return s.Name }},
		{name: "labels", head: "LABELS", value: func(s *S) any { return labels{s} }},
		{name: "value", head: "VALUE", right: true, value: func(s *S) any { return s.Value }},
	}
}

// labels is an object in JSON and "a=1,b=2" elsewhere.
type labels struct{ stat *control.Stat }

func (l labels) String() string { return l.stat.LabelText() }

func (l labels) MarshalJSON() ([]byte, error) {
	m := map[string]string{}
	maps.Copy(m, l.stat.Labels)
	return json.Marshal(m)
}
