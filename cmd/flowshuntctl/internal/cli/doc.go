// Package cli is the command tree of flowshuntctl. It has no state of its own:
// New takes everything it needs, so tests and the reference page build the same
// tree as the program.
package cli

//go:generate go run ../../gen.go ../../../../docs/cli.md
