package ovsdb

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/flowshunt/flowshunt/ovsdb/client"
	"github.com/flowshunt/flowshunt/ovsdb/vswitchd"
)

// builder makes the content of a snapshot from a replica.
type builder struct {
	r     *replica
	last  *memory
	ports []Port
	seen  map[string]identity
	order []string // uuids, in the order of ports
}

// build returns the content of the replica with port ids from ids, and with what
// rows are known to have had and last keeps. The fields that concern the connection
// are left to the caller.
func build(r *replica, ids *identities, last *memory) *Snapshot {
	last.begin(time.Now())
	b := builder{r: r, last: last, seen: map[string]identity{}}
	s := &Snapshot{Switch: switchOf(r), Bridges: []Bridge{}}
	for uuid, row := range r.bridges {
		bridge := newBridge(uuid, row, r)
		b.addBridge(uuid, row, &bridge)
		s.Bridges = append(s.Bridges, bridge)
	}
	slices.SortFunc(s.Bridges, func(x, y Bridge) int { return cmp.Compare(x.Name, y.Name) })

	ids.assign(b.seen, b.order)
	for i, uuid := range b.order {
		b.ports[i].ID = b.seen[uuid].id
	}
	slices.SortFunc(b.ports, func(x, y Port) int { return cmp.Or(cmp.Compare(x.Name, y.Name), cmp.Compare(x.ID, y.ID)) })
	s.Ports, s.index = b.ports, newIndex(b.ports)
	s.noteShared()
	return s
}

func switchOf(r *replica) Switch {
	for _, row := range r.switches { // the schema allows one
		return Switch{
			Present:         true,
			HWOffload:       parseTrue(row.OtherConfig["hw-offload"]),
			TCPolicy:        row.OtherConfig["tc-policy"],
			Applied:         row.CurCfg,
			FlowRestoreWait: parseTrue(row.OtherConfig["flow-restore-wait"]),
			OVSVersion:      deref(row.OVSVersion),
			DBVersion:       deref(row.DbVersion),
			DatapathTypes:   slices.Sorted(slices.Values(row.DatapathTypes)),
			InterfaceTypes:  slices.Sorted(slices.Values(row.IfaceTypes)),
			SystemID:        row.ExternalIDs["system-id"],
			OVNRemote:       ovnSetting(row, "ovn-remote"),
			OVNBridge:       cmp.Or(ovnSetting(row, "ovn-bridge"), "br-int"),
			TLS:             tlsOf(row, r),
			ExternalIDs:     row.ExternalIDs,
		}
	}
	return Switch{}
}

// ovnSetting reads a setting as ovn-controller does (ovn-controller(8), chassis-specific
// configuration): with the chassis' name behind its own it is for that chassis only.
func ovnSetting(row *vswitchd.OpenvSwitch, key string) string {
	if value, ok := row.ExternalIDs[key+"-"+row.ExternalIDs["system-id"]]; ok {
		return value
	}
	return row.ExternalIDs[key]
}

func tlsOf(row *vswitchd.OpenvSwitch, r *replica) client.TLS {
	ssl, ok := r.ssl[deref(row.SSL)]
	if !ok {
		return client.TLS{}
	}
	return client.TLS{PrivateKey: ssl.PrivateKey, Certificate: ssl.Certificate, CACert: ssl.CaCert}
}

func (b *builder) addBridge(uuid string, row *vswitchd.Bridge, bridge *Bridge) {
	mirrors, all := mirroringOf(row, b.r)
	for _, portUUID := range row.Ports {
		port, ok := b.r.ports[portUUID]
		if !ok {
			continue
		}
		mirror := mirrors[portUUID]
		mirror.All = all
		facts := b.portFacts(port, bridge, mirror)
		for _, ifaceUUID := range port.Interfaces {
			if iface, ok := b.r.interfaces[ifaceUUID]; ok {
				iface = b.last.recall(ifaceUUID, iface)
				b.addPort(uuid, ifaceUUID, newPort(facts, iface, port, bridge))
			}
		}
	}
}

func (b *builder) addPort(bridgeUUID, uuid string, p Port) {
	if _, twice := b.seen[uuid]; twice {
		return // the schema's owner does not write that; one id is one port
	}
	b.ports = append(b.ports, p)
	b.order = append(b.order, uuid)
	b.seen[uuid] = identity{bridge: bridgeUUID, datapath: p.DatapathType, kind: p.Type, ifindex: p.Ifindex}
}

// portFacts returns what all interfaces of a Port row have in common.
func (b *builder) portFacts(row *vswitchd.Port, bridge *Bridge, mirror Mirroring) Port {
	var found problems
	p := Port{
		PortName:      row.Name,
		Bridge:        bridge.Name,
		DatapathType:  bridge.DatapathType,
		LocalVLANZone: localVLAN(row, &found),
		VLAN:          vlanOf(row, &found),
		Protected:     row.Protected,
		Mirror:        mirror,
		Sampling:      bridge.Sampling,
	}
	if len(row.Interfaces) > 1 {
		p.Bond = Bond{Members: len(row.Interfaces), Mode: deref(row.BondMode)}
		if active := deref(row.BondActiveSlave); active != "" {
			var err error
			if p.Bond.Active, err = parseMAC(active); err != nil {
				found.add("bond_active_slave: %v", err)
			}
		}
	}
	if row.QOS != nil {
		p.QoS = "unknown"
		if qos, ok := b.r.qos[*row.QOS]; ok && qos.Type != "" {
			p.QoS = qos.Type
		}
	}
	p.Problems = found
	return p
}

func vlanOf(row *vswitchd.Port, found *problems) VLAN {
	v := VLAN{Mode: deref(row.VLANMode), HasTag: row.Tag != nil}
	if v.Mode == "" && v.HasTag {
		v.Mode = vswitchd.PortVLANModeAccess
	} else if v.Mode == "" {
		v.Mode = vswitchd.PortVLANModeTrunk
	}
	v.Tag = vlanID(row.Name, deref(row.Tag), found)
	for _, id := range row.Trunks {
		v.Trunks = append(v.Trunks, vlanID(row.Name, id, found))
	}
	slices.Sort(v.Trunks)
	return v
}

func vlanID(port string, id int, found *problems) uint16 {
	if id < 0 || id > 4095 {
		found.add("Port %.64q: VLAN %d is not from 0 to 4095", port, id)
		return 0
	}
	return uint16(id)
}

// newPort adds the facts of one interface to those of its Port row.
func newPort(p Port, row *vswitchd.Interface, port *vswitchd.Port, bridge *Bridge) Port {
	found := problems(slices.Clone(p.Problems))
	p.Name = row.Name
	p.Type = orSystem(row.Type)
	p.Error = deref(row.Error)
	p.Peer = row.Options["peer"]
	p.Tunnel = Tunnel{
		Remote: row.Options["remote_ip"], Local: row.Options["local_ip"], Key: inKey(row.Options), Port: row.Options["dst_port"],
		Egress: row.Status["tunnel_egress_iface"],
	}
	p.AdminUp = deref(row.AdminState) == vswitchd.InterfaceAdminStateUp
	p.LinkUp = deref(row.LinkState) == vswitchd.InterfaceLinkStateUp
	p.Policing = Policing{
		RateKbps: row.IngressPolicingRate, BurstKb: row.IngressPolicingBurst,
		RateKpkts: row.IngressPolicingKpktsRate, BurstKpackets: row.IngressPolicingKpktsBurst,
	}
	p.setNumbers(row, &found)
	p.setExternalIDs(row, port, bridge, &found)
	p.Problems = found.sorted()
	return p
}

// inKey returns the key of packets that come in: an in_key wins, even if it is empty
// (parse_key in lib/netdev-vport.c).
func inKey(options map[string]string) string {
	if key, ok := options["in_key"]; ok {
		return key
	}
	return options["key"]
}

func (p *Port) setNumbers(row *vswitchd.Interface, found *problems) {
	if n := deref(row.Ofport); n >= 0 && n <= math.MaxUint32 {
		p.OFPort = uint32(n)
	} else {
		found.add("ofport %d: OVS could not open the interface (%.200s)", n, p.Error)
	}
	if n := deref(row.Ifindex); n >= 0 && n <= math.MaxInt32 {
		p.Ifindex = int32(n)
	} else {
		found.add("ifindex %d: not from 0 to %d", n, math.MaxInt32)
	}
	if text := deref(row.MACInUse); text != "" {
		var err error
		if p.MAC, err = parseMAC(text); err != nil && text != "00:00:00:00:00:00" {
			found.add("mac_in_use: %v", err)
		}
	}
}

func (p *Port) setExternalIDs(row *vswitchd.Interface, port *vswitchd.Port, bridge *Bridge, found *problems) {
	ids := row.ExternalIDs
	p.IfaceID, p.VMUUID = ids["iface-id"], ids["vm-uuid"]
	p.OVNInstalled = parseTrue(ids["ovn-installed"])
	p.Wish = parseWish(ids, port.ExternalIDs, found)
	if text, ok := ids["attached-mac"]; ok {
		var err error
		if p.AttachedMAC, err = parseMAC(text); err != nil {
			found.add("external_ids:attached-mac: %v", err)
		}
	}
	if p.IfaceID == "" {
		return
	}
	if zone, ok := bridge.Zones[p.IfaceID]; ok {
		p.OVNZone = OptionalZone{Zone: zone, Known: true}
	} else if text, ok := bridge.ExternalIDs[ovnZonePrefix+p.IfaceID]; ok {
		found.add("Bridge %.64q external_ids:%s%.64s: %.32q is no zone", bridge.Name, ovnZonePrefix, p.IfaceID, text)
	}
}

// noteShared adds a problem to ports that claim the same iface-id.
func (s *Snapshot) noteShared() {
	for i := range s.Ports {
		p := &s.Ports[i]
		if p.IfaceID != "" && s.index.iface[p.IfaceID] == ambiguous {
			found := problems(p.Problems)
			found.add("external_ids:iface-id: %.64q is claimed by other ports, too", p.IfaceID)
			p.Problems = found.sorted()
		}
	}
}
