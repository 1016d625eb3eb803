package openflow

import "fmt"

// Version is an OpenFlow version as it stands in a message header. 0 is none.
type Version uint8

// The versions that Open vSwitch has.
const (
	OpenFlow10 Version = 1 + iota
	OpenFlow11
	OpenFlow12
	OpenFlow13
	OpenFlow14
	OpenFlow15
)

// String returns the name that ovs-vsctl uses: "OpenFlow13".
func (v Version) String() string {
	if v < OpenFlow10 || v > OpenFlow15 {
		return fmt.Sprintf("OpenFlow version %#x", uint8(v))
	}
	return fmt.Sprintf("OpenFlow1%d", v-OpenFlow10)
}

// TellsGroups reports whether changes of groups and meters are told.
func (v Version) TellsGroups() bool { return v >= OpenFlow14 }

// known are the versions that this package speaks, a bit for each.
const known uint32 = 1<<OpenFlow10 | 1<<OpenFlow11 | 1<<OpenFlow12 | 1<<OpenFlow13 | 1<<OpenFlow14 | 1<<OpenFlow15

// Message types of ofp_header that are the same in all versions.
const (
	typeHello          = 0
	typeError          = 1
	typeEchoRequest    = 2
	typeEchoReply      = 3
	typeExperimenter   = 4
	typePortStatus     = 12
	typeSetAsync       = 28 // since 1.3
	typeRequestForward = 32 // since 1.4
)

// multipartRequest is the type of a request; a reply has the next.
func (v Version) multipartRequest() uint8 {
	if v == OpenFlow10 {
		return 16
	}
	return 18
}

// barrierRequest is the type of a request; a reply has the next.
func (v Version) barrierRequest() uint8 {
	if v == OpenFlow10 {
		return 18
	}
	return 20
}
