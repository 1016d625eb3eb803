package ofproto

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
)

// LocalPort is OFPP_LOCAL, the number of the bridge's own port as OVSDB has it.
const LocalPort = 65534

const maxOfport = 0xfeff // OFPP_MAX of OpenFlow 1.0, less one

// Station is a line of the FDB: where OVS sends frames for a MAC.
type Station struct {
	Ofport uint32
	Age    uint32 // seconds since it was last heard; 0 for a static one
	Static bool   // entered by hand, does not age
}

// Table is the FDB of one bridge at one moment. A nil Table is empty.
type Table struct{ stations map[StationKey]Station }

// StationKey names a station in one VLAN of a bridge, 0 being none.
type StationKey struct {
	VLAN uint16
	MAC  flows.MAC
}

// Lookup returns where OVS sends frames for mac in a VLAN, 0 being none.
func (t *Table) Lookup(vlan uint16, mac flows.MAC) (Station, bool) {
	if t == nil {
		return Station{}, false
	}
	s, ok := t.stations[StationKey{vlan, mac}]
	return s, ok
}

// Len returns the number of stations.
func (t *Table) Len() int {
	if t == nil {
		return 0
	}
	return len(t.stations)
}

var errFDB = errors.New("forwarding database: malformed")

// ParseFDB reads what OVS's fdb/show prints (ofproto_unixctl_fdb_show in
// ofproto/ofproto-dpif.c): a heading, then a line of port number or LOCAL, VLAN,
// MAC, and age or "static" for each station. Anything else is an error: half an
// FDB could name the wrong port.
func ParseFDB(text string) (*Table, error) {
	heading, lines, _ := strings.Cut(text, "\n")
	if strings.Join(strings.Fields(heading), " ") != "port VLAN MAC Age" {
		return nil, fmt.Errorf("%w: heading %.40q", errFDB, heading)
	}
	t := &Table{stations: make(map[StationKey]Station, strings.Count(lines, "\n"))}
	for lines != "" {
		line, rest, whole := strings.Cut(lines, "\n")
		lines = rest
		key, station, err := parseStation(line)
		if err != nil || !whole {
			return nil, fmt.Errorf("%w: line %.80q", errFDB, line)
		}
		if _, twice := t.stations[key]; twice {
			return nil, fmt.Errorf("%w: %s is twice in VLAN %d", errFDB, key.MAC, key.VLAN)
		}
		t.stations[key] = station
	}
	return t, nil
}

func parseStation(line string) (StationKey, Station, error) {
	fields := strings.Fields(line)
	if len(fields) != 4 {
		return StationKey{}, Station{}, errFDB
	}
	ofport, err1 := parseOfport(fields[0])
	vlan, err2 := strconv.ParseUint(fields[1], 10, 12)
	mac, err3 := flows.ParseMAC(fields[2])
	age, static, err4 := parseAge(fields[3])
	if err := errors.Join(err1, err2, err3, err4); err != nil || mac.String() != fields[2] {
		return StationKey{}, Station{}, errFDB
	}
	return StationKey{uint16(vlan), mac}, Station{Ofport: ofport, Age: age, Static: static}, nil
}

func parseOfport(s string) (uint32, error) {
	if s == "LOCAL" {
		return LocalPort, nil
	}
	n, err := strconv.ParseUint(s, 10, 16)
	if err == nil && (n == 0 || n > maxOfport) {
		err = errFDB
	}
	return uint32(n), err
}

func parseAge(s string) (age uint32, static bool, err error) {
	if s == "static" {
		return 0, true, nil
	}
	n, err := strconv.ParseUint(s, 10, 31)
	return uint32(n), false, err
}
