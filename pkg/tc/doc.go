// Package tc speaks rtnetlink's traffic control: the clsact qdisc, flower
// filters with their actions (mirred, gact, vlan, pedit, csum, tunnel_key,
// police), and explicit chains. It is a codec and the I/O for it, nothing else:
// it does not know whose filters it handles and keeps no state beyond a socket.
//
// Encoding follows what iproute2's tc sends, attribute by attribute; testdata
// holds captured requests to compare with. Decoding is tolerant: what it does
// not know (attributes, kinds of filters, kinds of actions) is skipped and
// marked, never an error; what is malformed is an error with its offset.
//
// Numbers and layouts come from the kernel headers linux/rtnetlink.h,
// linux/pkt_cls.h, linux/pkt_sched.h, linux/gen_stats.h and linux/tc_act/.
package tc
