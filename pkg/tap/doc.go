// Package tap watches packets that enter ports, without ever touching one. A
// tap is an AF_PACKET socket on a network device; the kernel hands it received
// packets before tc and before OVS, so it sees what a port really sent even
// while a tc filter redirects it. A classic BPF program in the kernel lets
// through what is wanted: TCP packets with FIN, SYN or RST always, and, where
// sampling is on, a random share of all IP packets. Where a tap looks into tunnels
// these flags count there as well, if the outer header is IPv4 without options;
// in other tunnels FIN and RST are seen as any packet is, by sampling.
//
// What a tap reports is a hint and evidence, never a decision: anybody behind a
// port can forge any packet. The package knows nothing of OVS or conntrack.
package tap
