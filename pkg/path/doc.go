// Package path says between which two ports, and with which MACs, the packets of
// a connection travel. It believes what ports really received (package tap),
// checked against what OVS says: its forwarding database (FDB) and its database
// rows. It never guesses: without evidence, or with evidence that contradicts
// itself, the answer is a Refusal with a reason.
//
// Why this evidence, and how an attacker could try to forge it, is told in
// docs/decisions/0002-evidence-for-ports-and-macs.md.
package path
