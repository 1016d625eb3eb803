// Package cli is the command line of flowshuntd: flags become a configuration of
// pkg/agent. It has no state of its own, so that tests and the reference page see
// the same flags as the program.
package cli

//go:generate go run ../../gen.go ../../../../docs/flowshuntd.md
