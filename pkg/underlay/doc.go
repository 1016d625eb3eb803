// Package underlay says how the packets of tunnels leave the host: from which address, and
// how long they can be. The kernel's routing decides that, and can change its mind.
package underlay
