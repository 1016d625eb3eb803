package ovsdbtest

import (
	"net"
	"strings"
	"testing"
)

// Cluster is a Raft cluster of private ovsdb-servers (ovsdb(7), "Clustered Database Service
// Model"). They talk to each other by TCP on loopback.
type Cluster struct {
	Members  []*Server
	Database string

	t testing.TB
}

// NewCluster starts n members of a database and waits until all have joined. prepare, if there
// is one, is called for each before it starts.
func NewCluster(t testing.TB, schema, database string, n int, prepare func(*Server)) *Cluster {
	t.Helper()
	c := &Cluster{t: t, Database: database}
	var first string
	for range n {
		s := New(t, schema)
		s.File += ".cluster"
		address := "tcp:" + freeAddress(t)
		if first == "" {
			first = address
			s.Run("ovsdb-tool", "create-cluster", s.File, s.Schema, address)
		} else {
			s.Run("ovsdb-tool", "join-cluster", s.File, database, address, first)
		}
		if prepare != nil {
			prepare(s)
		}
		s.Start()
		c.Joined(s)
		c.Members = append(c.Members, s)
	}
	return c
}

// freeAddress is one of loopback where nobody listens.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// Joined waits until a member is connected to the others.
func (c *Cluster) Joined(s *Server) {
	c.t.Helper()
	s.Run("ovsdb-client", "--timeout=30", "wait", s.Endpoint(), c.Database, "connected")
}

// Remotes are the endpoints of all members, with commas between them.
func (c *Cluster) Remotes() string {
	var list []string
	for _, s := range c.Members {
		list = append(list, s.Endpoint())
	}
	return strings.Join(list, ",")
}

// Leader waits until one of the members is the leader, and returns it. Those that do not run
// are not asked.
func (c *Cluster) Leader() *Server {
	c.t.Helper()
	var leader *Server
	if !Eventually(func() bool {
		for _, s := range c.Members {
			if s.Running() && strings.Contains(c.status(s), "Role: leader") {
				leader = s
			}
		}
		return leader != nil
	}) {
		c.t.Fatal("the cluster has no leader")
	}
	return leader
}

func (c *Cluster) status(s *Server) string {
	return s.Run("ovs-appctl", "--target="+s.Control, "cluster/status", c.Database)
}

// Followers are all members but one.
func (c *Cluster) Followers(leader *Server) (list []*Server) {
	for _, s := range c.Members {
		if s != leader {
			list = append(list, s)
		}
	}
	return list
}

// Transfer has the leader hand over to another member, as it does by itself before it
// compacts its file.
func (c *Cluster) Transfer() (from, to *Server) {
	c.t.Helper()
	from = c.Leader()
	from.Run("ovs-appctl", "--target="+from.Control, "cluster/failure-test", "transfer-leadership")
	if !Eventually(func() bool { return !strings.Contains(c.status(from), "Role: leader") }) {
		c.t.Fatalf("the leader stays: %s", c.status(from))
	}
	return from, c.Leader()
}

// Cut keeps a member from talking to the others, both ways; its clients still reach it.
func (c *Cluster) Cut(s *Server) {
	s.Run("ovs-appctl", "--target="+s.Control, "cluster/failure-test", "stop-raft-rpc")
}

// Mend undoes Cut.
func (c *Cluster) Mend(s *Server) {
	s.Run("ovs-appctl", "--target="+s.Control, "cluster/failure-test", "clear")
}
