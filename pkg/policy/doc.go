// Package policy holds what operators say about connections: offload policies and the
// decryption profiles of the firewall, as they are written (Spec), as they are understood
// (Policy, Profile), and compiled (Table), which says of a connection which policy decides
// about it.
//
// A Table judges with three values. What is not known yet of a connection makes a condition
// "may match", never "does not", so that a decision that is certain stays what it is when
// more becomes known. What cannot be understood counts in the direction that leaves more
// connections to the slow path. Nothing here does I/O, and nothing knows of sessions.
//
// docs/policy.md is the reference; the naive matcher in the tests is written from it.
package policy
