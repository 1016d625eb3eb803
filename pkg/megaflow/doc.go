// Package megaflow composes what OVS does with a packet from the flows of a
// datapath: masked matches with actions, chained by recirculation ids. The flows
// come from the kernel (package datapath) or from OVS's own trace of a packet
// (package ofproto); this package is pure.
package megaflow
