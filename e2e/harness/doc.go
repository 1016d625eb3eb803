// Package harness builds what a story needs around an agent: a node with its
// own Open vSwitch (kernel datapath), bridges with a conntrack pipeline,
// virtual machines, traffic, and readers of conntrack, tc and OVS; with
// OnEswsim also a NIC, whose virtual functions the machines have.
//
// Everything lives in network namespaces that the harness creates and removes;
// the namespace it was started in is never touched. One node serves all tests
// of a process, since OVS is slow to start; each test has a World of its own on
// it. Tests must not run in parallel.
//
// The harness fails a test by testing.TB; it never decides what is right, that
// is the story's task.
package harness
