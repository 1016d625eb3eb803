package ovsdb

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/ovsdb/vswitchd"
)

// problems collects what could not be understood.
type problems []string

func (p *problems) add(format string, args ...any) { *p = append(*p, fmt.Sprintf(format, args...)) }

func (p *problems) sorted() []string {
	slices.Sort(*p)
	return *p
}

// parseOVNZone reads a zone of ovn-controller, which hands out 1 to 65535
// (ovn-controller(8), ct-zone-range).
func parseOVNZone(s string) (flows.Zone, error) { return parseZone(s, 65535) }

// parseZone reads a decimal number from 1 to limit.
func parseZone(s string, limit uint64) (flows.Zone, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 || n > limit {
		return 0, fmt.Errorf("%.32q is no number from 1 to %d", s, limit)
	}
	return flows.Zone(n), nil
}

// deadVLAN is the local VLAN of ports that Neutron's agent does not let
// communicate.
const deadVLAN = 4095

// localVLAN returns the VLAN that Neutron's ML2/OVS agent gave a port. The
// agent leaves its marks in Port.other_config (net_uuid, tag); a tag without
// them is an ordinary access VLAN and no hint at a zone. Where Port.tag is
// something else than other_config:tag, such as the dead VLAN, it is not known.
func localVLAN(row *vswitchd.Port, found *problems) OptionalZone {
	text, marked := row.OtherConfig["tag"]
	if !marked && row.OtherConfig["net_uuid"] != "" && row.Tag != nil {
		text, marked = strconv.Itoa(*row.Tag), true
	}
	if !marked || deref(row.Tag) == deadVLAN || text == strconv.Itoa(deadVLAN) {
		return OptionalZone{}
	}
	zone, err := parseZone(text, deadVLAN-1)
	if err != nil {
		found.add("Port %.64q other_config:tag: %v", row.Name, err)
		return OptionalZone{}
	}
	if row.Tag != nil && *row.Tag != int(zone) {
		found.add("Port %.64q: tag %d, but other_config:tag %d", row.Name, *row.Tag, zone)
		return OptionalZone{}
	}
	return OptionalZone{Zone: zone, Known: true}
}

// parseMAC reads the address of one station.
func parseMAC(s string) (flows.MAC, error) {
	if len(s) > 32 {
		return flows.MAC{}, fmt.Errorf("%.32q... is no MAC address", s)
	}
	mac, err := flows.ParseMAC(s)
	if err == nil && !mac.IsUnicast() {
		err = fmt.Errorf("%q is no address of one station", s)
	}
	if err != nil {
		return flows.MAC{}, err
	}
	return mac, nil
}

// parseWish reads external_ids:flowshunt of both rows of a port.
func parseWish(iface, port map[string]string, found *problems) Wish {
	wish := WishNone
	for _, ids := range []map[string]string{iface, port} {
		value, ok := ids["flowshunt"]
		switch {
		case !ok:
		case strings.EqualFold(value, "on"):
			wish = max(wish, WishOn)
		case strings.EqualFold(value, "off"):
			wish = WishOff
		default:
			found.add("external_ids:flowshunt: %.32q is neither \"on\" nor \"off\", taken for off", value)
			wish = WishOff
		}
	}
	return wish
}

// parseTrue reads a setting as OVS does whose default is false (smap_get_bool):
// anything but "true" is false.
func parseTrue(s string) bool { return strings.EqualFold(s, "true") }
