// Package wire makes virtual wires of Open vSwitch ports: what comes in at one end goes
// out of the other, through an inspector if there is one. It owns the flows that do so,
// sends probes through the inspector, and says in which state each wire is.
//
// Why the flows are as they are, and what an inspector that is away means, is told in
// docs/decisions/0019-virtual-wires.md.
package wire
