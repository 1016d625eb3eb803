package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/control"
)

// orderFlags are the flags of the commands that order something.
type orderFlags struct {
	sessionFlags
	dryRun, unmark bool
	period         time.Duration
}

const namesHelp = "Connections are named by 5-tuples as for why, in either direction, several of them as\n" +
	"PROTO,SRC:PORT,DST:PORT; or, of those that the agent follows, by --port, --state, --reason, --prefix and --zone as for\n" +
	"sessions, all of which have to fit. --all says that every one is meant. What has become of each is printed, entry\n" +
	"by entry; the exit code is 1 if something could not be done, and if there was nothing to do it to. An order needs root,\n" +
	"or membership in the group of the socket, and leaves a line in the agent's log."

var orderTexts = map[control.OrderKind]struct{ short, long, example string }{
	control.OrderOffload: {"Have connections offloaded, if nothing speaks against it",
		"offload lets connections be offloaded that are no elephants, and before others, as the conntrack mark of --mark-offload\n" +
			"does. What keeps them in the slow path still does: security groups, conntrack's state, a path that no rule can do,\n" +
			"policies to inspect or drop (change the policy for these), and the packets that have to be inspected first. The order\n" +
			"stands until the connection ends, or inspect is ordered; what is in its way now is said, and may pass. An agent that is\n" +
			"started anew does not know of it.",
		"  flowshuntctl offload tcp,10.0.0.1:40000,10.0.0.2:873\n" +
			"  flowshuntctl offload --dry-run --prefix=10.0.0.0/24 --reason=mouse"},
	control.OrderInspect: {"Bring connections back to the slow path and keep them there",
		"inspect takes the rules of connections out, at once, and keeps them out: until the connection ends, offload is ordered,\n" +
			"or the time of --for is over. Connections go on: conntrack understands their packets also after any number that went\n" +
			"past it. Where the agent has a --mark-never it is set in conntrack, so that an agent that is started anew\n" +
			"knows of the order (but not of its --for); without one the answer says that it would not.",
		"  flowshuntctl inspect tcp,10.0.0.1:40000,10.0.0.2:5201\n" +
			"  flowshuntctl inspect --for=10m --port=vnet3\n" +
			"  flowshuntctl inspect --for=1s tcp,10.0.0.1:40000,10.0.0.2:5201   # takes an order back"},
	control.OrderRevoke: {"Deny connections the way past the slow path for good",
		"revoke takes the rules of connections out, at once, and is a denial, as that of a policy to drop: they are not\n" +
			"offloaded again before their conntrack entries are gone: what comes back then is a new connection, of TCP one with a\n" +
			"handshake of its own. offload does not take it back. It answers when the rules are out. Flowshunt drops no packet:\n" +
			"what is to be stopped has to be denied in the slow path as well. An agent that is started anew knows of it by\n" +
			"--mark-never, as for inspect; by that one offload --unmark does take it back.",
		"  flowshuntctl revoke 'udp,[2001:db8::1]:500,[2001:db8::2]:500' --zone=7\n" +
			"  flowshuntctl revoke --prefix=10.0.0.66"},
}

func (a *app) orderCmd(kind control.OrderKind) *cobra.Command {
	var f orderFlags
	text := orderTexts[kind]
	cmd := &cobra.Command{
		Use:   kind.String() + " [<5-tuple>...]",
		Short: text.short, Long: text.long + "\n" + namesHelp, Example: text.example,
		RunE: a.run(func(ctx context.Context, args []string) error { return a.order(ctx, kind, &f, args) }),
	}
	flags := cmd.Flags()
	f.addFilter(cmd)
	flags.BoolVar(&f.all, "all", false, "every connection that the agent follows")
	flags.BoolVar(&f.dryRun, "dry-run", false, "do nothing, say what would become of it as far as that is known")
	switch kind {
	case control.OrderInspect:
		flags.DurationVar(&f.period, "for", 0, "keep them in the slow path for this `time`, as 10m; 0: until they end")
	case control.OrderOffload:
		flags.BoolVar(&f.unmark, "unmark", false, "take off the conntrack mark of --mark-never, whoever has set it; one of an order to inspect of this agent goes without")
	}
	f.add(cmd)
	return cmd
}

func (a *app) order(ctx context.Context, kind control.OrderKind, f *orderFlags, args []string) error {
	o, err := f.order(kind, args)
	if err != nil {
		return err
	}
	cols := orderColumns(o.DryRun)
	if _, err := choose(&f.listFlags, a.format, cols); err != nil {
		return err
	}
	return a.ask(ctx, func(c *control.Client) error {
		rows := []control.Ordered{}
		failed := c.Order(ctx, o, func(r control.Ordered) error { rows = append(rows, r); return nil })
		if failed != nil && len(rows) == 0 {
			return failed
		}
		if err := writeList(a.Stdout, a.format, &f.listFlags, cols, rows); err != nil {
			return err
		}
		if failed != nil { // what is printed is not all, or not the last word
			return failed
		}
		return judgeOrder(rows)
	})
}

// judgeOrder says what was not done.
func judgeOrder(rows []control.Ordered) error {
	done := 0
	for i := range rows {
		if rows[i].Outcome == control.OutcomeDone {
			done++
		}
	}
	switch {
	case len(rows) == 0:
		return nof("no connection matches")
	case done < len(rows):
		return nof("done for %d of %d", done, len(rows))
	}
	return nil
}

func (f *orderFlags) order(kind control.OrderKind, args []string) (control.Order, error) {
	o := control.Order{Kind: kind, For: f.period, Unmark: f.unmark, DryRun: f.dryRun}
	if f.period < 0 {
		return o, usagef("--for %s: want a time that is not negative", f.period)
	}
	var err error
	if o.Tuples, err = parseTuples(kind.String(), args); err != nil {
		return o, err
	}
	if o.Zone, err = parseZone(f.zone); err != nil {
		return o, err
	}
	filter, err := f.filter()
	if err != nil {
		return o, err
	}
	narrow := filter.Port != "" || len(filter.States) > 0 || filter.Reason != "" || filter.Prefix.IsValid()
	switch {
	case len(args) > 0 && (narrow || f.all):
		return o, usagef("connections are named by 5-tuples or by a filter, not by both")
	case len(args) > 0:
		return o, nil
	case f.all && (narrow || filter.Zone != nil):
		return o, usagef("--all is every connection: it leaves nothing for a filter")
	case !f.all && !narrow && filter.Zone == nil:
		return o, usagef("name connections, by 5-tuples or a filter; --all is every one")
	}
	filter.All, filter.Limit, o.Zone = true, 0, nil
	o.Filter = &filter
	return o, nil
}

// parseTuples reads several tuples in the form of one argument, or one in another.
func parseTuples(command string, args []string) (list []flows.Tuple, err error) {
	one := func(s string) bool { return !strings.Contains(s, ",") }
	if len(args) > 0 && slices.ContainsFunc(args, one) {
		t, err := parseTuple(command, args)
		return []flows.Tuple{t}, err
	}
	for _, arg := range args {
		t, err := parseTuple(command, []string{arg})
		if err != nil {
			return nil, err
		}
		if !slices.Contains(list, t) {
			list = append(list, t)
		}
	}
	return list, nil
}

// orderColumns are the columns of what has become of an order.
func orderColumns(dryRun bool) []column[control.Ordered] {
	type R = control.Ordered
	result := "RESULT"
	if dryRun {
		result = "WOULD BE"
	}
	return []column[R]{
		{name: "tuple", head: "CONNECTION", value: func(r *R) any { return r.Key.Tuple.String() }, cell: func(r *R) string { return arrow(r.Key.Tuple) }},
		{name: "zone", head: "ZONE", right: true, value: func(r *R) any { return uint16(r.Key.Zone) }, cell: zoneOf},
		{name: "conntrack_id", value: func(r *R) any { return r.Key.ID }},
		{name: "session", value: func(r *R) any { return sessionID(r.Session) }},
		{name: "result", head: result, value: func(r *R) any { return r.Outcome.String() }},
		{name: "reason", head: "REASON", value: func(r *R) any { return r.Reason }},
		{name: "remembered", value: func(r *R) any { return r.Remembered }},
		{name: "detail", head: "DETAIL", value: func(r *R) any { return r.Detail }},
	}
}

// zoneOf is empty where there is no entry, and so no zone.
func zoneOf(r *control.Ordered) string {
	if r.Reason == flows.Gone {
		return ""
	}
	return fmt.Sprint(r.Key.Zone)
}
