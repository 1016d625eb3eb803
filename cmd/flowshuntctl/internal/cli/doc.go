// Package cli is the command tree of flowshuntctl. It has no state of its own:
// New takes everything it needs, so tests and the reference page build the same
// tree as the program.
//
// # Two kinds of command lines
//
// Commands about the agent and the node are cobra's, one to a command line. Database commands are those of
// ovs-vsctl(8): several in a line with -- between them, options before each name, and anything at all as
// an argument, such as y=-1. cobra cannot read that, so Run looks at the first command first: where it is
// a database command the whole line goes to dbctl.ParseLine and is carried out as one batch (batch.go), else to cobra. Each
// database command is also in cobra's tree (database.go), made from the same dbctl.Command, but only for help,
// completion and the reference page.
//
// A new database command is one entry in batchCommands.
package cli

//go:generate go run ../../gen.go ../../../../docs/cli.md
