//go:build !race

package policy_test

const race = false
