package ovn

import (
	"context"
	"errors"

	"github.com/flowshunt/flowshunt/ovsdb/client"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// Source follows one of OVN's databases: a secgroup.Source. Its methods may be called from
// any goroutine.
type Source struct {
	client *client.Client
	fresh  func() translator
}

// translator makes news of the rows of a database. It is filled anew for each connection.
type translator interface {
	snapshot(client.Batch) secgroup.News // of all rows
	apply(client.Batch) secgroup.News    // of what has changed
}

// NewSouthbound returns a source that reads what northd made of the ACLs for the hosts, and
// which ports are bound here. Nothing is read before Run.
func NewSouthbound(cfg Config) (*Source, error) {
	if cfg.Chassis == "" {
		return nil, errors.New("the name of this host in OVN (system-id) is not known")
	}
	c, err := cfg.client("OVN_Southbound", southboundTables())
	if err != nil {
		return nil, err
	}
	return &Source{c, func() translator { return newSouthbound(cfg) }}, nil
}

// State returns how the connection is getting on.
func (s *Source) State() client.State { return s.client.State() }

// Run tells news until ctx ends.
func (s *Source) Run(ctx context.Context, tell func(secgroup.News)) error {
	return s.client.Run(ctx, &follower{fresh: s.fresh, tell: tell})
}

// follower passes on what the client tells.
type follower struct {
	fresh func() translator
	now   translator
	tell  func(secgroup.News)
	last  secgroup.News
}

func (f *follower) Synced(all client.Batch) {
	f.now = f.fresh()
	f.pass(f.now.snapshot(all))
}

// Changed passes on what concerns permissions, and each new number of a state.
func (f *follower) Changed(some client.Batch) {
	news := f.now.apply(some)
	if news.Update != nil || news.Label != f.last.Label || news.Revision > f.last.Revision {
		f.pass(news)
	}
}

func (f *follower) Lost(err error) { f.tell(secgroup.News{Err: err, Label: f.last.Label}) }

func (f *follower) pass(news secgroup.News) {
	f.last = news
	f.tell(news)
}
