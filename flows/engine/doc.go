// Package engine is the decision core: it follows connections, decides which of
// them are offloaded, and orders what must be done, in that order.
//
// It is a deterministic state machine. Step takes the time and what happened,
// and returns what shall be done; it has no goroutine, no clock, no I/O and no
// log. The same engine therefore runs in the agent and under a simulation that
// checks the promises of docs/architecture.md after every step.
//
// The life of a session:
//
//	Resolving -> Relaxing -> Installing -> Verifying -> Offloaded -> Removing
//	     |           |           \------------+-----------/             |
//	     |           |            Adopting ---+                          |
//	     +-> Observed (mode observe)                                     |
//	     +-----------+---> dropped <-------------------------------------+
//
// In Relaxing the window checks of TCP are relaxed; what has none passes it at once,
// unless its path was doubted while it was being found. Adopting is where rules begin
// that an earlier agent left. A removal is accepted in every state and always
// wins: results of earlier effects carry an older Op and are ignored.
//
// From the moment its path is known, a session is bound: whatever may have changed
// that path is a doubt, and a doubt that is not answered in time ends the session.
package engine
