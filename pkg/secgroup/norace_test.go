//go:build !race

package secgroup_test

// slack is by how much a bound may be missed on a machine that has other things to do.
const slack = 10
