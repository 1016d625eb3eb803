package ovsdb

import (
	"strconv"
	"strings"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/ovsdb/vswitchd"
)

// Bridge is one row of table Bridge.
type Bridge struct {
	Name         string
	DatapathType string // "system" (the kernel; also where the row says nothing), "netdev", ...
	DatapathID   string // 16 hexadecimal digits, empty before OVS created it
	ExternalIDs  map[string]string

	// What else decides how it forwards.
	FailMode    string // "secure", "standalone"; empty is standalone
	OtherConfig map[string]string
	FloodVLANs  []int
	STP, RSTP   bool
	Multicast   bool // snooping
	// MACAging is how long OVS remembers where a station is: other_config:mac-aging-time,
	// else 300 s.
	MACAging time.Duration

	// Zones are the conntrack zones that ovn-controller keeps in external_ids as
	// ct-zone-NAME, by NAME: a logical port, or a router's uuid with _dnat or _snat.
	Zones    map[string]flows.Zone
	Sampling Sampling
	Mirrors  int // mirrors of the bridge
	// Controllers is how many OpenFlow controllers it has.
	Controllers int

	Problems []string // what could not be understood; those fields are not set
}

// ovnZonePrefix is how ovn-controller names zones in Bridge.external_ids.
const ovnZonePrefix = "ct-zone-"

func newBridge(uuid string, row *vswitchd.Bridge, r *replica) Bridge {
	b := Bridge{
		Name:         row.Name,
		DatapathType: orSystem(row.DatapathType),
		DatapathID:   deref(row.DatapathID),
		ExternalIDs:  row.ExternalIDs,
		FailMode:     deref(row.FailMode),
		OtherConfig:  row.OtherConfig,
		FloodVLANs:   row.FloodVLANs,
		STP:          row.STPEnable,
		RSTP:         row.RSTPEnable,
		Multicast:    row.McastSnoopingEnable,
		MACAging:     macAging(row.OtherConfig["mac-aging-time"]),
		Sampling:     samplingOf(uuid, row, r),
		Mirrors:      len(row.Mirrors),
		Controllers:  len(row.Controller),
	}
	b.Zones, b.Problems = zonesOf(row)
	return b
}

// macAging reads mac-aging-time in seconds as OVS does (bridge_configure_mac_table in
// vswitchd/bridge.c): what is no positive number is the default, and lib/mac-learning.c
// keeps it between 15 and 3600.
func macAging(s string) time.Duration {
	seconds, err := strconv.Atoi(s)
	if err != nil || seconds <= 0 {
		seconds = 300
	}
	return time.Duration(min(max(seconds, 15), 3600)) * time.Second
}

func zonesOf(row *vswitchd.Bridge) (map[string]flows.Zone, []string) {
	zones := map[string]flows.Zone{}
	var found problems
	for key, value := range row.ExternalIDs {
		name, isZone := strings.CutPrefix(key, ovnZonePrefix)
		if !isZone {
			continue
		}
		zone, err := parseOVNZone(value)
		if err != nil {
			found.add("Bridge %.64q external_ids:%.100s: %v", row.Name, key, err)
			continue
		}
		zones[name] = zone
	}
	return zones, found.sorted()
}

func samplingOf(uuid string, row *vswitchd.Bridge, r *replica) Sampling {
	s := Sampling{SFlow: row.Sflow != nil, NetFlow: row.Netflow != nil, IPFIX: row.IPFIX != nil}
	for _, set := range r.samplers {
		s.FlowSample = s.FlowSample || set.Bridge == uuid
	}
	return s
}

// mirroringOf returns the part that each Port row has in the bridge's mirrors,
// by the row's uuid, and the part that all of them have.
func mirroringOf(row *vswitchd.Bridge, r *replica) (byPort map[string]Mirroring, all bool) {
	byPort = map[string]Mirroring{}
	note := func(uuid string, set func(*Mirroring)) {
		m := byPort[uuid]
		set(&m)
		byPort[uuid] = m
	}
	for _, uuid := range row.Mirrors {
		mirror, ok := r.mirrors[uuid]
		if !ok {
			continue
		}
		all = all || mirror.SelectAll
		for _, port := range mirror.SelectSrcPort {
			note(port, func(m *Mirroring) { m.In = true })
		}
		for _, port := range mirror.SelectDstPort {
			note(port, func(m *Mirroring) { m.Out = true })
		}
		if mirror.OutputPort != nil {
			note(*mirror.OutputPort, func(m *Mirroring) { m.Target = true })
		}
	}
	return byPort, all
}

// orSystem names the type that an empty column stands for, of bridges as of
// interfaces.
func orSystem(kind string) string {
	if kind == "" {
		return "system"
	}
	return kind
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
