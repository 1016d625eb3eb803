// Package unixctl talks to the control socket of an Open vSwitch daemon, the one
// that ovs-appctl(8) uses: JSON-RPC 1.0 over a unix stream socket, one request
// and one reply (lib/unixctl.c). It knows no method's meaning.
package unixctl
