// Package eswitch keeps sessions in an eswitch: all rules of a session or none,
// in batches, marked as ours in the eswitch itself, so that a process that knows
// nothing can find and remove what another one left.
//
// What executes rules is a Driver: flower drives a NIC or the kernel through
// tc, model is in memory. The package decides nothing: which session is worth a
// rule is the engine's business.
//
// # What is serialized
//
// Install, Remove, Counters, Sweep, Audit, Flush and the port methods may be
// called at once from any goroutine. Operations on one session do not overlap:
//
//   - A Remove that meets an Install of the same session in flight wins. What is
//     not sent yet is not sent, what was sent is rolled back, Install reports
//     ErrOvertaken, and Remove returns once nothing is left behind.
//   - A second Remove of a session waits for the first.
//   - An Install that meets a Remove in flight reports ErrBusy.
//
// Between different sessions there is no order, except that a session's own
// rules are sent in the order in which they stand.
package eswitch
