// Package devlink reads what the kernel tells of network devices below their netdevs
// (Documentation/networking/devlink): the ports of an eswitch and what they stand for,
// the mode of an eswitch, and that a device had trouble or was reset. It changes nothing.
package devlink
