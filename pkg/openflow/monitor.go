package openflow

import "encoding/binary"

// monitor is how a version carries flow monitoring: which multipart message, and
// the layout of what follows its header.
type monitor struct {
	multipart      uint16 // of ofp_multipart_request
	vendor         uint32 // of an experimenter's multipart message, else 0
	subtype        uint32
	paused         uint32 // subtypes of the vendor's messages that stand alone
	resumed        uint32
	appendRequest  func([]byte) []byte
	readUpdates    func([]byte, *news) error
	multipartStart int // of its body: where vendor and subtype, or the updates, begin
}

// The vendors.
const (
	vendorNicira = 0x00002320
	vendorONF    = 0x4f4e4600
)

const (
	multipartExperimenter = 0xffff
	multipartFlowMonitor  = 16 // since 1.4
)

// monitorOf returns the one that Open vSwitch has for a version.
func monitorOf(v Version) monitor {
	switch {
	case v >= OpenFlow14:
		return monitor{multipart: multipartFlowMonitor, multipartStart: 8,
			appendRequest: standardRequest, readUpdates: standardUpdates}
	case v == OpenFlow13:
		return monitor{multipart: multipartExperimenter, multipartStart: 8,
			vendor: vendorONF, subtype: 1870, paused: 1871, resumed: 1872,
			appendRequest: onfRequest, readUpdates: onfUpdates}
	}
	m := monitor{multipart: multipartExperimenter, multipartStart: 8,
		vendor: vendorNicira, subtype: 2, paused: 22, resumed: 23,
		appendRequest: niciraRequest, readUpdates: niciraUpdates}
	if v == OpenFlow10 {
		m.multipartStart = 4
	}
	return m
}

const (
	monitorID    = 1
	wantChanges  = 1<<1 | 1<<2 | 1<<3 // ADD, DELETE, MODIFY: neither INITIAL nor actions
	allTables    = 0xff
	anyPort      = 0xffffffff
	anyGroup     = 0xffffffff
	anyPort16    = 0xffff
	emptyMatch   = "\x00\x01\x00\x04\x00\x00\x00\x00" // an OXM match of no field, padded
	matchTypeOXM = 1
)

// request returns the body of the multipart request.
func (m *monitor) request(v Version) []byte {
	b := binary.BigEndian.AppendUint16(nil, m.multipart)
	b = append(b, make([]byte, m.multipartStart-2)...)
	if m.vendor != 0 {
		b = binary.BigEndian.AppendUint32(b, m.vendor)
		b = binary.BigEndian.AppendUint32(b, m.subtype)
		if v == OpenFlow10 {
			b = append(b, 0, 0, 0, 0) // nicira10_stats_msg ends in padding
		}
	}
	return m.appendRequest(b)
}

// updates returns what follows the header of a multipart reply; false: it is of
// another multipart message.
func (m *monitor) updates(b []byte) ([]byte, bool) {
	size := m.multipartStart
	if m.vendor != 0 {
		size = 16
	}
	if len(b) < size || binary.BigEndian.Uint16(b) != m.multipart {
		return nil, false
	}
	if m.vendor != 0 && !m.isVendor(b[m.multipartStart:], m.subtype) {
		return nil, false
	}
	return b[size:], true
}

// isVendor reports whether b begins with the vendor and a subtype of it.
func (m *monitor) isVendor(b []byte, subtype uint32) bool {
	return m.vendor != 0 && len(b) >= 8 &&
		binary.BigEndian.Uint32(b) == m.vendor && binary.BigEndian.Uint32(b[4:]) == subtype
}

// niciraRequest appends nx_flow_monitor_request.
func niciraRequest(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, monitorID)
	b = binary.BigEndian.AppendUint16(b, wantChanges)
	b = binary.BigEndian.AppendUint16(b, anyPort16)
	return append(b, 0, 0, allTables, 0, 0, 0, 0, 0) // no match
}

// onfRequest appends onf_flow_monitor_request.
func onfRequest(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, monitorID)
	b = binary.BigEndian.AppendUint16(b, wantChanges)
	b = binary.BigEndian.AppendUint16(b, 4) // of the match, its padding not counted
	b = binary.BigEndian.AppendUint32(b, anyPort)
	b = append(b, allTables, 0, 0, 0)
	return append(b, emptyMatch...)
}

// standardRequest appends ofp_flow_monitor_request with command ADD.
func standardRequest(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, monitorID)
	b = binary.BigEndian.AppendUint32(b, anyPort)
	b = binary.BigEndian.AppendUint32(b, anyGroup)
	b = binary.BigEndian.AppendUint16(b, wantChanges)
	b = append(b, allTables, 0)
	return append(b, emptyMatch...)
}
