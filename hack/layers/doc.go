// Package layers holds the test that keeps imports pointing down. It has no
// code of its own: the table in layers_test.go is the one in docs/architecture.md,
// from the bottom up.
package layers
