// Package ovn reads what OVN's databases permit: ACLs, the ports that they concern, and the
// sets of addresses that they name. It decides nothing about connections; package secgroup does.
//
// Data flows in one direction, and everything between the rows and the Update is without I/O:
//
//	Logical_Flow -> acl -> understood: match -> expr -> terms -> secgroup.Match
//	                       outcome: actions -> secgroup.Action
//	Port_Binding, Port_Group, Datapath_Binding, ... -> secgroup.Port
//	Address_Set -> addressSet
//	all of them -> southbound -> ledger -> secgroup.Update with what differs
//
// The Southbound database is the one that every compute node can reach, and what it says is
// what is enforced. The Northbound one is earlier and knows the network service's names; its
// rows are turned into such rows as northd would make of them, and then read the same way.
//
// # What a flow means
//
// All flows of the stages of ACLs are judged alike, northd's own as well, for one packet: of
// a connection that is established and not blocked, in its original direction, not a
// fragment. For it most of what flows test of conntrack, and of northd's registers, is known,
// and what is left of a match are the conditions of its ACL. The forms of OVN 23.03 (the
// flow of an ACL acts at once) and since 23.06 (it leaves a verdict, and ACLs have tiers) come
// to the same rules.
//
// # What is not understood
//
// A match that tests what a connection does not tell becomes a rule with secgroup.Unknown for
// all that it may concern. What OVN itself refuses does nothing in OVN: an ACL that permits is
// left out then, one that denies is Unknown. ACLs that pass a packet on to the next tier, and
// those behind load balancing that deny, are Unknown, too. So is what is denied where packets
// leave or enter the switch, for its instances.
package ovn
