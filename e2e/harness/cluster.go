package harness

import "testing"

// Cluster is two nodes, each with an Open vSwitch of its own, and what connects them.
// Their machines' names and numbers differ.
type Cluster struct {
	*Underlay
	A, B *World
}

// NewCluster returns two empty worlds on one underlay: the shared node's, and that of a
// node of the test's own.
func NewCluster(t testing.TB) *Cluster {
	t.Helper()
	c := &Cluster{Underlay: NewUnderlay(t)}
	sharedNode(t)
	n, err := StartNode("node2")
	if err != nil {
		t.Fatalf("start another Open vSwitch: %v", err)
	}
	t.Cleanup(n.Stop)
	c.A, c.B = New(t), On(t, n)
	c.B.first = firstOfSecond
	return c
}

// firstOfSecond is the number of the second node's first machine.
const firstOfSecond = 101

// Nodes are both.
func (c *Cluster) Nodes() []*World { return []*World{c.A, c.B} }
