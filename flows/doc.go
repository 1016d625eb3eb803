// Package flows is the vocabulary of Flowshunt: the values that watchers, the
// decision core and executors exchange. Everything here is pure data: no I/O,
// no clock, no netlink, standard library only. Values are comparable where
// that is possible, so they serve as map keys and are compared with ==.
package flows
