// Package conntrack reads and writes the kernel's connection tracking table
// over ctnetlink (NETLINK_NETFILTER, subsystem 1). It is a codec and its I/O,
// nothing else: it fills flows.Entry and carries out single, safe changes; it
// decides nothing about connections.
//
// A Conn asks: Dump walks the table, Get reads single entries, Update and
// Refresh change them, Delete removes one. A Listener hears what changes. Both
// own their socket and their receive loop, because at half a million entries
// the usual libraries spend more time on memory than the kernel on the walk.
//
// Only Refresh writes a timeout and nothing here can create an entry, set a TCP
// state or overwrite a whole mark: what a bypassed connection must never suffer
// cannot be expressed.
//
// Numbers and layouts are those of include/uapi/linux/netfilter/
// nfnetlink_conntrack.h and net/netfilter/nf_conntrack_netlink.c.
package conntrack
