package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/flowshunt/flowshunt/ovsdb/dbctl"
	"github.com/flowshunt/flowshunt/pkg/control"
)

// The values of --wait.
const (
	waitNone  = "none"
	waitLocal = "local"
	waitAll   = "all"
)

// follow is whom a batch waits for after its change.
type follow struct {
	systemID string // of one node; "" = all that there are
	ifKnown  bool   // do not wait for a node that has no row

	want   int      // Node.cur_cfg of those that have followed; 0 = the batch has changed nothing
	behind []string // nodes that have not
}

// follow finds out whom --wait means; nil = nobody.
func (a *app) follow(ctx context.Context) (*follow, error) {
	ours := a.batch.database == defaultDatabase
	switch {
	case a.batch.wait == waitNone, a.batch.wait == "" && (!ours || !a.agentAnswers(ctx)):
		return nil, nil
	case !slices.Contains([]string{"", waitLocal, waitAll}, a.batch.wait):
		return nil, fmt.Errorf("--wait=%.64s: want none, local or all", a.batch.wait)
	case !ours:
		return nil, fmt.Errorf("--wait=%s: nobody follows the database %.64s", a.batch.wait, a.batch.database)
	case a.batch.wait == waitAll:
		return &follow{}, nil
	}
	id, err := a.systemID(ctx)
	if err != nil {
		if a.batch.wait == "" {
			return nil, nil
		}
		return nil, fmt.Errorf("--wait=local: which node is this? %w", err)
	}
	return &follow{systemID: id, ifKnown: a.batch.wait == ""}, nil
}

// agentPatience is how long an agent may take to accept a connection, and ovsdb-server to tell the system-id.
const agentPatience = time.Second

func (a *app) agentAnswers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, agentPatience)
	defer cancel()
	c, err := control.Dial(ctx, a.socket)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// command raises Flowshunt.next_cfg in a transaction that changes something.
func (f *follow) command() *dbctl.Command {
	return &dbctl.Command{
		Name: "next-cfg",
		Read: func(r *dbctl.Reading, _ *dbctl.Call) error {
			root, node, err := cfgTables(r.Schema())
			if err == nil {
				r.Columns(root, root.Columns["next_cfg"])
				r.Columns(node, node.Columns["system_id"])
			}
			return err
		},
		Run: func(t *dbctl.Txn, _ *dbctl.Call) error {
			f.want = 0
			root, node, err := cfgTables(t.Schema())
			if err != nil || !t.Changes() || f.ifKnown && !f.known(t, node) {
				return err
			}
			return f.raise(t, root)
		},
	}
}

func (f *follow) raise(t *dbctl.Txn, root *dbctl.Table) error {
	next := root.Columns["next_cfg"]
	rows := t.Rows(root)
	if len(rows) == 0 {
		t.VerifyEmpty(root)
		row, err := t.Create(root, "")
		if err != nil {
			return err
		}
		rows = append(rows, row)
	}
	f.want = number(rows[0], root, "next_cfg") + 1
	rows[0].Verify(next)
	t.Set(rows[0], next, dbctl.SetOf(int64(f.want)))
	return nil
}

func (f *follow) known(t *dbctl.Txn, node *dbctl.Table) bool {
	return slices.ContainsFunc(t.Rows(node), func(row *dbctl.Row) bool { return text(row, node, "system_id") == f.systemID })
}

func cfgTables(s *dbctl.Schema) (root, node *dbctl.Table, err error) {
	root, node = s.Tables["Flowshunt"], s.Tables["Node"]
	if root == nil || root.Columns["next_cfg"] == nil || node == nil || node.Columns["system_id"] == nil || node.Columns["cur_cfg"] == nil {
		return nil, nil, fmt.Errorf("the database %.64s has no next_cfg or cur_cfg, which --wait needs: see flowshuntctl init --help", s.Name)
	}
	return root, node, nil
}

// behindError is that a change was made, and not all have followed it.
type behindError struct {
	who string
	err error // why they are not waited for any longer
}

func (e *behindError) Error() string { return e.text() + ": " + e.err.Error() }
func (e *behindError) Unwrap() error { return e.err }
func (e *behindError) text() string {
	return "the change is made, but not known to be in force on " + e.who
}

// await returns when those that are waited for have followed the change.
func (a *app) await(ctx context.Context, f *follow) error {
	if f == nil || f.want == 0 || a.batch.dryRun {
		return nil
	}
	calls := []*dbctl.Call{{Command: f.arrival()}}
	if err := a.transact(ctx, calls, nil); err != nil {
		who := "the nodes"
		if f.behind != nil {
			who = strings.Join(f.behind[:min(len(f.behind), maxBehind)], ", ")
		}
		return &behindError{who, err}
	}
	return nil
}

// maxBehind is how many nodes an error names.
const maxBehind = 8

// arrival waits for the nodes.
func (f *follow) arrival() *dbctl.Command {
	return &dbctl.Command{
		Name: "cur-cfg",
		Read: func(r *dbctl.Reading, _ *dbctl.Call) error {
			_, node, err := cfgTables(r.Schema())
			if err == nil {
				r.Columns(node, node.Columns["system_id"], node.Columns["cur_cfg"])
			}
			return err
		},
		Run: func(t *dbctl.Txn, _ *dbctl.Call) error {
			_, node, err := cfgTables(t.Schema())
			if err != nil {
				return err
			}
			f.behind = nil
			for _, row := range t.Rows(node) {
				id := text(row, node, "system_id")
				if cur := number(row, node, "cur_cfg"); cur < f.want && (f.systemID == "" || f.systemID == id) {
					f.behind = append(f.behind, fmt.Sprintf("%.64s (at %d of %d)", id, cur, f.want))
				}
			}
			if f.systemID != "" && !f.known(t, node) {
				f.behind = []string{fmt.Sprintf("%.64s (which has no row in table Node)", f.systemID)}
			}
			if f.behind != nil {
				return dbctl.ErrWait
			}
			return nil
		},
	}
}
