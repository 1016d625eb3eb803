package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/control"
)

func (a *app) auditCmd() *cobra.Command {
	var f listFlags
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "List every rule of Flowshunt in tc and who claims it; needs no agent",
		Long: "audit reads every rule of Flowshunt from tc and asks the agent, if one is alive, which sessions\n" +
			"are its own. A rule that no living agent claims is an orphan: it still forwards packets past\n" +
			"every check. Orphans come first. Without an agent every rule is an orphan.",
		Args: cobra.NoArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error { return a.audit(ctx, &f) }),
	}
	f.add(cmd)
	return cmd
}

// audited is a rule and whether an agent claims it.
type audited struct {
	Found
	orphan bool
}

func (a *app) audit(ctx context.Context, f *listFlags) error {
	if _, err := choose(f, a.format, auditColumns()); err != nil {
		return err
	}
	rows, err := a.judge(ctx)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	if err := writeList(a.Stdout, a.format, f, auditColumns(), rows); err != nil {
		return err
	}
	orphans := 0
	for i := range rows {
		if rows[i].orphan {
			orphans++
		}
	}
	if orphans > 0 {
		return nof("audit: %d of %s: no living agent claims them; flowshuntctl flush removes all rules",
			orphans, plural(len(rows), "rule is an orphan", "rules are orphans"))
	}
	return nil
}

// judge reads the rules between two questions to the agent: a session that came
// or went in the meantime is in one of the answers.
func (a *app) judge(ctx context.Context) ([]audited, error) {
	before, err := a.claims(ctx)
	if err != nil {
		return nil, err
	}
	found, err := a.Rules.Audit(ctx)
	if err != nil {
		return nil, fmt.Errorf("read tc: %w", err)
	}
	after, err := a.claims(ctx)
	if err != nil {
		return nil, err
	}
	alive := before != nil && after != nil
	rows := make([]audited, len(found))
	for i := range found {
		f := &found[i]
		guard := f.Session == 0 // of no session, but the living agent's
		rows[i] = audited{*f, !alive || !guard && !before.has(f) && !after.has(f)}
	}
	slices.SortFunc(rows, compareAudited)
	return rows, nil
}

func compareAudited(a, b audited) int {
	if a.orphan != b.orphan {
		if a.orphan {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Ifindex, b.Ifindex),
		cmp.Compare(a.Preference, b.Preference), cmp.Compare(a.Handle, b.Handle))
}

// claims are the sessions of the living agent with the generation that it names
// for them; generation 0 stands for any.
type claims map[flows.SessionID]uint32

func (c claims) has(f *Found) bool {
	g, ok := c[f.Session]
	return ok && (g == 0 || g == f.Generation)
}

// claims asks the agent for its sessions; nil if there is no agent. Only a
// complete list counts: a rule must not look like an orphan for want of a line.
func (a *app) claims(ctx context.Context) (claims, error) {
	list, lines := claims{}, uint64(0)
	err := a.ask(ctx, func(c *control.Client) error {
		sum, err := c.Sessions(ctx, control.Filter{}, func(s control.Session) error {
			lines++
			if s.ID != 0 {
				list[s.ID] = s.Generation
			}
			return nil
		})
		if err == nil && (sum.Now.IsZero() || sum.Matched != lines) {
			err = fmt.Errorf("the agent gave %d of %d sessions; who claims a rule is not known", lines, sum.Matched)
		}
		return err
	})
	if errors.Is(err, control.ErrNoAgent) {
		return nil, nil
	}
	return list, err
}

func auditColumns() []column[audited] {
	type R = audited
	return []column[R]{
		{name: "claimed", head: "CLAIMED", value: func(r *R) any { return !r.orphan },
			cell: func(r *R) string {
				if r.orphan {
					return "ORPHAN"
				}
				return "yes"
			}},
		{name: "port", head: "PORT", value: func(r *R) any { return r.Port }},
		{name: "ifindex", right: true, value: func(r *R) any { return r.Ifindex }},
		{name: "preference", head: "PREF", right: true, value: func(r *R) any { return r.Preference }},
		{name: "handle", head: "HANDLE", right: true, value: func(r *R) any { return r.Handle },
			cell: func(r *R) string { return fmt.Sprintf("0x%x", r.Handle) }},
		{name: "direction", head: "DIR", value: func(r *R) any { return r.Dir.String() }},
		{name: "session", head: "SESSION", value: func(r *R) any { return r.Session.String() }},
		{name: "generation", right: true, value: func(r *R) any { return r.Generation }},
		{name: "packets", head: "PACKETS", right: true, value: func(r *R) any { return r.Packets },
			cell: func(r *R) string { return si(r.Packets) }},
		{name: "bytes", head: "BYTES(B)", right: true, value: func(r *R) any { return r.Bytes },
			cell: func(r *R) string { return si(r.Bytes) }},
		{name: "in_hw", head: "HW", value: func(r *R) any { return r.InHW },
			cell: func(r *R) string { return yesNo(r.InHW) }},
		{name: "rule", head: "RULE", value: func(r *R) any { return r.Rule }},
	}
}
