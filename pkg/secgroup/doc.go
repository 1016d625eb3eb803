// Package secgroup holds what security groups permit: a model that any network service's
// rules can be put into, and its compiled form, a Table, which says of the first packet of
// a connection whether it may pass a port, and by which rule.
//
// A Source (package ovn, package file) tells an Update: first all there is, then what has
// changed. A Compiler makes a Table of it and says what the difference can concern, so that
// nobody needs to look at more. The data flows in that direction only:
//
//	database, file -> Source -> Update -> Compiler -> Table, Change -> engine
//
// Only the original direction of a connection is judged, because stateful security groups
// permit replies by the connection and not by a rule.
package secgroup
