// Package dpctl reads the userspace datapath of Open vSwitch: its ports, its
// connections, and how it checks them. It asks ovs-vswitchd over its control socket
// (dpctl/..., see ovs-vswitchd(8)), which answers from its main thread. It changes
// nothing but that last, and only when told to.
//
// The userspace conntrack is not the kernel's. Measured with Open vSwitch 3.1: a dump
// has no ids, no counters, no time of creation and no status; TCP has a state for each
// side (as in BSD's pf), other protocols have none. So an entry that takes the place
// of one with the same tuple looks the same, and whether a reply was seen is told for
// TCP only: the caller has to know it from elsewhere.
package dpctl
