// Package e2e has the stories: what a person would see of Flowshunt on a node
// with a real Open vSwitch, conntrack and tc. One file per subject.
//
// `make e2e RUN=<regexp> KERNEL=<6.1|6.12|host>` runs them; plain `go test`
// skips them where the running kernel lacks what they need, and says what.
//
// A story has ports in software (veth devices, and rules that the kernel executes), or
// those of a NIC: the kernel module eswsim in its folder plays one, and the story's
// name ends in Eswsim. Many are told both ways: eswsim_test.go lists them. With
// FLOWSHUNT_SLOW, as `make test-all` sets it, both ways and all that takes long are
// told; without it each story once.
package e2e
