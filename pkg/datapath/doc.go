// Package datapath reads the Open vSwitch datapath of the kernel over generic
// netlink: its ports and its flows (include/uapi/linux/openvswitch.h). It changes
// nothing, and needs no ovs-vswitchd.
package datapath
