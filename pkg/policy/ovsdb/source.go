package ovsdb

import (
	"context"
	"errors"
	"time"

	"github.com/flowshunt/flowshunt/ovsdb/client"
	"github.com/flowshunt/flowshunt/ovsdb/flowshunt"
	"github.com/flowshunt/flowshunt/pkg/policy"
	"github.com/flowshunt/flowshunt/pkg/wire"
)

// Config says where the database is and who reports to it. Remotes and SystemID must be set.
type Config struct {
	Remotes  string     // see client.ParseRemotes
	TLS      client.TLS // for remotes of ssl
	SystemID string     // of this node: Open_vSwitch's external_ids:system-id

	Interval   time.Duration // between two writes at the least; 0 = 1 s
	Inactivity time.Duration // see client.Config, as the two that follow
	MinBackoff time.Duration
	MaxBackoff time.Duration
}

// News is what a source has to tell: all that it knows.
type News struct {
	Table    *policy.Table // without ports; nil: nothing has been read yet
	Problems []policy.Problem
	// Wires are those of this node, and those of no node. They mean nothing while Table is nil.
	Wires        []wire.Spec
	WireProblems []wire.Problem

	NextCfg int               // of table Flowshunt: how many changes operators have counted
	Options map[string]string // of the same
	// Err says why the database cannot be read at present: the rest is as it was last. Nil: it
	// is what the database says.
	Err error
}

// Source follows the database. Its methods may be called from any goroutine.
type Source struct {
	client *client.Client
	writer *writer
}

// New returns a source that reads and writes nothing before Run.
func New(cfg Config) (*Source, error) {
	if cfg.SystemID == "" {
		return nil, errors.New("the name of this node (system-id) is not known")
	}
	if cfg.Interval <= 0 {
		cfg.Interval = time.Second
	}
	c, err := client.New(client.Config{
		Remotes: cfg.Remotes, TLS: cfg.TLS, Database: "Flowshunt", Tables: tables(cfg.SystemID), MaxRows: maxRows,
		Inactivity: cfg.Inactivity, MinBackoff: cfg.MinBackoff, MaxBackoff: cfg.MaxBackoff,
	})
	if err != nil {
		return nil, err
	}
	return &Source{c, newWriter(cfg, c)}, nil
}

// maxRows bounds each table. What policy.Compile makes of so many is bounded further.
const maxRows = 1 << 16

// tables are what is read. All conditions are needed: without one of its columns a policy
// would match more than it says.
func tables(systemID string) []client.Table {
	policies := []string{"name", "priority", "enabled", "protocols", "src_prefixes", "dst_prefixes", "src_ports", "dst_ports",
		"interfaces", "iface_ids", "security_groups", "tenants", "dscp", "applications", "server_names", "verdict", "elephant_bytes",
		"elephant_rate", "elephant_age", "inspect_packets", "max_lifetime", "reinspect_interval", "status"}
	profiles := []string{"name", "enabled", "dst_prefixes", "dst_ports", "server_names", "status"}
	wires := []string{"name", "system_id", "enabled", "port0", "port1", "inspector0", "inspector1", "fail_mode", "probe_interval", "status"}
	global := []string{"next_cfg", "options"}
	return []client.Table{
		{Name: flowshunt.OffloadPolicyTable, Row: (*flowshunt.OffloadPolicy)(nil), Columns: policies, NeededColumns: policies},
		{Name: flowshunt.DecryptionProfileTable, Row: (*flowshunt.DecryptionProfile)(nil), Columns: profiles, NeededColumns: profiles},
		{Name: flowshunt.WireTable, Row: (*flowshunt.Wire)(nil), Columns: wires, NeededColumns: wires,
			Where: []client.Condition{{Column: "system_id", Function: "==", Value: systemID}, {Column: "system_id", Function: "==", Value: client.Set{}}}},
		{Name: flowshunt.FlowshuntTable, Row: (*flowshunt.Flowshunt)(nil), Columns: global, NeededColumns: global},
		{Name: flowshunt.NodeTable, Row: (*flowshunt.Node)(nil), Columns: []string{"system_id"}, Needed: true,
			Where: []client.Condition{{Column: "system_id", Function: "==", Value: systemID}}},
	}
}

// Run calls tell with news, one after the other, until ctx ends, and returns its error.
func (s *Source) Run(ctx context.Context, tell func(News)) error {
	writing, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.writer.run(writing)
	}()
	defer func() { stop(); <-done }()
	return s.client.Run(ctx, &follower{tell: tell, writer: s.writer, nodes: map[string]bool{}})
}

// Report says what the agent's row of table Node shall be from now on. It returns at once.
func (s *Source) Report(n Node) { s.writer.report(n) }

// State returns how the connection is getting on, and why what was to be written was not,
// the last time; nil: it was.
func (s *Source) State() (connection client.State, written error) {
	return s.client.State(), s.writer.state()
}
