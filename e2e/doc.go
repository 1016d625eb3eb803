// Package e2e has the stories: what a person would see of Flowshunt on a node
// with a real Open vSwitch, conntrack and tc. One file per subject.
//
// `make e2e RUN=<regexp> KERNEL=<6.1|6.12|host>` runs them; plain `go test`
// skips them where the running kernel lacks what they need, and says what.
package e2e
