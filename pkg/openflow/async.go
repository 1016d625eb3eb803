package openflow

import "encoding/binary"

const niciraSetAsync = 19 // NXT_SET_ASYNC_CONFIG

// Bits of the reasons for which messages are wanted.
const (
	portReasons    = 1<<0 | 1<<1 | 1<<2 // ADD, DELETE, MODIFY
	forwardReasons = 1<<0 | 1<<1        // GROUP_MOD, METER_MOD
	packetReasons  = 1 << reasonAction
)

// appendSetAsync appends the request for the asynchronous messages that are
// wanted, and no others. To a management connection OVS sends none before.
func appendSetAsync(b []byte, v Version, xid uint32) []byte {
	if v >= OpenFlow14 {
		return appendMessage(b, v, typeSetAsync, xid, asyncProperties(0, portReasons, forwardReasons))
	}
	// for roles master and slave: packets, ports, removed flows
	masks := [...]uint32{0, 0, portReasons, portReasons, 0, 0}
	var body []byte
	kind := uint8(typeSetAsync)
	if v < OpenFlow13 {
		kind = typeExperimenter
		body = binary.BigEndian.AppendUint32(body, vendorNicira)
		body = binary.BigEndian.AppendUint32(body, niciraSetAsync)
	}
	for _, mask := range masks {
		body = binary.BigEndian.AppendUint32(body, mask)
	}
	return appendMessage(b, v, kind, xid, body)
}

// asyncProperties returns all of ofp_async_config_prop: what is left out would
// stay as it is.
func asyncProperties(packets, ports, forwards uint32) []byte {
	masks := [...]uint32{
		packets, packets, // for role slave and for others
		ports, ports,
		0, 0, // removed flows
		0, 0, // roles
		0, 0, // tables
		forwards, forwards,
	}
	var b []byte
	for kind, mask := range masks {
		b = binary.BigEndian.AppendUint16(b, uint16(kind))
		b = binary.BigEndian.AppendUint16(b, 8)
		b = binary.BigEndian.AppendUint32(b, mask)
	}
	return b
}
