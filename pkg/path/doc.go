// Package path says between which two ports, and with which MACs, the packets of
// a connection travel. Who sends is told by what ports really received (package
// tap) and by OVS's database; where it goes, by OVS itself: traces, which the flows
// of its datapath must not contradict. It never guesses: without evidence, or with
// evidence that contradicts itself, the answer is a Refusal with a reason.
//
// Why this evidence, and how an attacker could try to forge it, is told in
// docs/decisions/0002-evidence-for-ports-and-macs.md; why OVS is the judge, in
// docs/decisions/0006-ovs-is-the-judge.md.
package path
