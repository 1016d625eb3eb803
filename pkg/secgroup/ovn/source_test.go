package ovn

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/ovsdb/ovsdbtest"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// run runs a source until the test ends.
func run(t *testing.T, s *Source) <-chan secgroup.News {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	news, ended := make(chan secgroup.News), make(chan error, 1)
	go func() {
		ended <- s.Run(ctx, func(n secgroup.News) {
			select {
			case news <- n:
			case <-ctx.Done():
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error("Run ended:", err)
		}
	})
	return news
}

// await returns the first news that are good.
func await(t *testing.T, news <-chan secgroup.News, what string, good func(secgroup.News) bool) secgroup.News {
	t.Helper()
	late := time.After(ovsdbtest.Patience)
	for {
		select {
		case n := <-news:
			if good(n) {
				return n
			}
		case <-late:
			t.Fatalf("waited %s for %s", ovsdbtest.Patience, what)
		}
	}
}

func isReset(n secgroup.News) bool { return n.Err == nil && n.Update != nil && n.Update.Reset }

// TestSourceNorthbound follows a server while a switch is made, through its death, and after.
func TestSourceNorthbound(t *testing.T) {
	server := ovsdbtest.Start(t, ovsdbtest.Northbound)
	s, err := NewNorthbound(Config{Remotes: server.Endpoint()})
	if err != nil {
		t.Fatal(err)
	}
	news := run(t, s)
	if n := await(t, news, "a reset", isReset); len(n.Update.Ports) > 0 {
		t.Errorf("of an empty database: %+v", n.Update)
	}
	server.Transact("OVN_Northbound", `
		{"op": "insert", "table": "NB_Global", "row": {"nb_cfg": 7}},
		{"op": "insert", "table": "Logical_Switch_Port", "uuid-name": "p", "row": {"name": "p"}},
		{"op": "insert", "table": "ACL", "uuid-name": "a", "row":
			{"direction": "to-lport", "action": "allow-related", "priority": 5, "match": "tcp"}},
		{"op": "insert", "table": "Logical_Switch", "row": {"name": "s", "ports": ["named-uuid", "p"], "acls": ["named-uuid", "a"]}}`)
	n := await(t, news, "the port", func(n secgroup.News) bool { return n.Update != nil })
	if p := n.Update.Ports["p"]; p == nil || p.Reason != "" || len(n.Update.Rules) != 1 {
		t.Errorf("%+v", n.Update)
	}
	server.Kill()
	await(t, news, "the loss", func(n secgroup.News) bool { return n.Err != nil && n.Update == nil })
	server.Start()
	n = await(t, news, "a reset", isReset)
	if p := n.Update.Ports["p"]; p == nil || len(n.Update.Rules) != 1 || n.Revision != 8 {
		t.Errorf("after the restart: revision %d, %+v", n.Revision, n.Update)
	}
}

// TestSourceSouthbound asks for rows as the database serves them: conditions, columns.
func TestSourceSouthbound(t *testing.T) {
	server := ovsdbtest.Start(t, ovsdbtest.Southbound)
	s, err := NewSouthbound(Config{Remotes: server.Endpoint(), Chassis: "us"})
	if err != nil {
		t.Fatal(err)
	}
	news := run(t, s)
	await(t, news, "a reset", isReset)
	server.Transact("OVN_Southbound", `
		{"op": "insert", "table": "Encap", "uuid-name": "e", "row": {"type": "geneve", "ip": "192.0.2.1", "chassis_name": "us"}},
		{"op": "insert", "table": "Chassis", "uuid-name": "us", "row": {"name": "us", "encaps": ["named-uuid", "e"]}},
		{"op": "insert", "table": "Datapath_Binding", "uuid-name": "dp", "row": {"tunnel_key": 3}},
		{"op": "insert", "table": "Port_Binding", "row":
			{"logical_port": "p", "tunnel_key": 1, "datapath": ["named-uuid", "dp"], "chassis": ["named-uuid", "us"], "up": true}},
		{"op": "insert", "table": "Logical_Flow", "row": {"logical_datapath": ["named-uuid", "dp"], "match": "1", "actions": "next;",
			"pipeline": "ingress", "priority": 0, "table_id": 8, "external_ids": ["map", [["stage-name", "ls_in_acl"]]]}},
		{"op": "insert", "table": "Logical_Flow", "row": {"logical_datapath": ["named-uuid", "dp"], "match": "1", "actions": "drop;",
			"pipeline": "egress", "priority": 0, "table_id": 4, "external_ids": ["map", [["stage-name", "ls_out_acl"]]]}},
		{"op": "insert", "table": "Logical_Flow", "row": {"logical_datapath": ["named-uuid", "dp"], "match": "1", "actions": "drop;",
			"pipeline": "egress", "priority": 0, "table_id": 5, "external_ids": ["map", [["stage-name", "ls_out_stateful"]]]}}`)
	n := await(t, news, "the port", func(n secgroup.News) bool { return n.Update != nil })
	if p := n.Update.Ports["p"]; p == nil || p.Reason != "" || len(n.Update.Rules) != 1 {
		t.Errorf("%+v", n.Update)
	}
	for _, r := range n.Update.Rules {
		if r.Action != secgroup.Drop || r.Direction != flows.Ingress || r.Tier != lastTier {
			t.Errorf("%+v", r)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := NewSouthbound(Config{Remotes: "unix:x"}); err == nil {
		t.Error("no chassis is named")
	}
	if _, err := NewSouthbound(Config{Remotes: "x", Chassis: "us"}); err == nil {
		t.Error("no remote is named")
	}
	if _, err := NewNorthbound(Config{}); err == nil {
		t.Error("no remote is named")
	}
}
