//go:build race

package secgroup_test

// slack is for the race detector, which makes everything slower.
const slack = 60
