package flows

// Reason is a short stable code that says why a connection is, or is not,
// offloaded. It is shown to operators, used in metrics, and safe to match on. A
// slash separates a family from the case: "path-unsupported/vlan".
type Reason string

// Reasons to offload.
const (
	Elephant      Reason = "elephant"      // bytes, rate and age passed the thresholds
	MarkOffload   Reason = "mark-offload"  // the conntrack mark asks for it
	OrderOffload  Reason = "order-offload" // an operator ordered it (flowshuntctl offload)
	PolicyOffload Reason = "policy"        // a policy asks for it whatever its size
)

// Reasons from the conntrack entry.
const (
	NotEstablished Reason = "not-established" // handshake not complete
	OneWay         Reason = "one-way"         // no reply was seen
	NotAssured     Reason = "not-assured"     // replies, but not yet both ways in earnest
	Closing        Reason = "closing"         // FIN or RST was seen; final for this connection
	Related        Reason = "related"         // child of another connection (FTP data, ...)
	Helper         Reason = "helper"          // an application-layer helper reads it
	SeqAdjusted    Reason = "seq-adjusted"    // sequence numbers differ on the two sides
	Invalid        Reason = "invalid"         // the entry is dying, unconfirmed or malformed
	Midstream      Reason = "midstream"       // picked up without its handshake
	Blocked        Reason = "ct-blocked"      // carries the blocked mark or label of the CMS
	Protocol       Reason = "protocol"        // of a protocol that is never offloaded (ICMP, ...)
	KernelOffload  Reason = "kernel-offload"  // the kernel's own flowtable has it
	NoCounters     Reason = "no-counters"     // created while nf_conntrack_acct was off
	Gone           Reason = "gone"            // the entry does not exist any more
	InspectorHolds Reason = "inspector-holds" // what enters the inspector of its wire does not come out
)

// Reasons from policy and load.
const (
	Mouse         Reason = "mouse"            // below the elephant thresholds
	MarkNever     Reason = "mark-never"       // the conntrack mark forbids it
	OrderInspect  Reason = "order-inspect"    // an operator wants it inspected (flowshuntctl inspect)
	OrderRevoke   Reason = "order-revoke"     // an operator denied it (flowshuntctl revoke); after that a fresh handshake is needed
	Inspecting    Reason = "inspecting"       // too few of its packets have been inspected yet
	PolicyInspect Reason = "policy-inspect"   // a policy wants it inspected
	PolicyDrop    Reason = "policy-drop"      // a policy denies it; after that a fresh handshake is needed
	PolicyNone    Reason = "policy-none"      // no policy speaks of it
	PolicyUnknown Reason = "policy-unknown"   // the policy database has not told anything yet
	Reinspect     Reason = "re-inspect"       // was offloaded for so long that packets shall be inspected again
	TableFull     Reason = "table-full"       // the believed capacity is used by more valuable sessions
	RateLimited   Reason = "rate-limited"     // waits for the insertion budget
	Displaced     Reason = "displaced"        // left for a more valuable session
	Idle          Reason = "idle"             // the eswitch saw no packet for the idle time
	NoHits        Reason = "no-hits"          // conntrack grows while the rules see nothing
	RulesGone     Reason = "rules-vanished"   // somebody else deleted a rule of it
	Tombstone     Reason = "tombstone"        // was denied; a fresh handshake is needed
	OVSHWOffload  Reason = "ovs-hw-offload"   // OVS itself owns the table
	TooManyFollow Reason = "too-many"         // the bound on followed connections is reached
	ModeSwitched  Reason = "mode-switched"    // the agent changed between observe and enforce
	OVSDBLost     Reason = "ovsdb-lost"       // the OVS database has not answered for too long
	Stopping      Reason = "stopping"         // the agent is going down
	NotInHW       Reason = "not-in-hw"        // hardware does not have its rules any more
	EswitchReset  Reason = "eswitch-reset"    // the NIC was reset and may have lost its rules
	Refused       Reason = "eswitch-refused"  // hardware does not take such rules; the detail has the driver's words
	InstallFailed Reason = "install-failed"   // a rule could not be installed for another reason
	RelaxFailed   Reason = "relax-failed"     // the TCP window checks could not be relaxed
	KeepFailed    Reason = "keepalive-failed" // the conntrack entry could not be kept alive
	Lifetime      Reason = "max-lifetime"     // was offloaded for as long as the bound allows
	MACAgeing     Reason = "mac-ageing"       // OVS would forget where its endpoint is without seeing a packet
)

// Reasons from ports and paths.
const (
	PathUnknown     Reason = "path-unknown"     // no packet or FDB entry tells the ports and MACs
	PathAmbiguous   Reason = "path-ambiguous"   // more than one answer fits
	PathChanged     Reason = "path-changed"     // OVS would do something else now
	PathDropped     Reason = "path-dropped"     // OVS drops the packets of a direction
	PathDoubted     Reason = "path-unvalidated" // something changed, and OVS did not confirm the path in time
	InspectorUnseen Reason = "inspector-unseen" // it was not seen on both sides of the inspector of its wire
	InspectorDown   Reason = "inspector-down"   // the inspector of its wire is away
	SGUnknown       Reason = "sg-unknown"       // the port has security groups, and nothing says, or not any more, what they permit
	SGDenied        Reason = "sg-denied"        // the security groups of a port do not permit it
	SGStateless     Reason = "sg-stateless"     // permitted by a stateless rule, which conntrack does not follow
	PortUnbound     Reason = "port-unbound"     // the cloud's network service has not bound the port here, or not yet
	PortMigrating   Reason = "port-migrating"   // its instance is about to be moved to, or from, another host
	ZoneUnknown     Reason = "zone-unknown"     // the same tuple stands in zones that no port explains
	PortOff         Reason = "port-off"         // external_ids:flowshunt is off, or neither on nor off
	PortUnchosen    Reason = "port-unselected"  // not among --ports, nor external_ids:flowshunt=on
	PortDown        Reason = "port-down"        // no carrier or administratively down
	PortGone        Reason = "port-gone"        // the port was deleted or replaced
	PortUnready     Reason = "port-unready"     // the eswitch cannot take rules of ours there
	PortQoS         Reason = "port-qos"         // policing or QoS, which a rule would bypass
	PortMirrored    Reason = "port-mirrored"    // a mirror, sFlow, NetFlow or IPFIX looks at it
	BridgeOwned     Reason = "bridge-owned"     // who looks after its bridge removes flows that he did not make, and rules would be such
	PortNotInHW     Reason = "port-not-in-hw"   // hardware is required, and it is no representor, or its hw-tc-offload is off
)

// Reasons why a path cannot be carried by a rule.
const (
	UnsupportedNAT       Reason = "path-unsupported/nat"
	UnsupportedVLAN      Reason = "path-unsupported/vlan"
	UnsupportedRouted    Reason = "path-unsupported/routed"
	UnsupportedInternal  Reason = "path-unsupported/internal"
	UnsupportedPatch     Reason = "path-unsupported/patch"
	UnsupportedTunnel    Reason = "path-unsupported/tunnel"
	UnsupportedPortType  Reason = "path-unsupported/port-type"
	UnsupportedDatapath  Reason = "path-unsupported/datapath"
	UnsupportedBond      Reason = "path-unsupported/bond"
	UnsupportedHairpin   Reason = "path-unsupported/hairpin"
	UnsupportedOutputs   Reason = "path-unsupported/outputs"   // several output ports, as of a flood
	UnsupportedGroup     Reason = "path-unsupported/group"     // an OpenFlow group, whose changes nobody tells
	UnsupportedUpcall    Reason = "path-unsupported/userspace" // OVS wants to see each packet
	UnsupportedMTU       Reason = "path-unsupported/mtu"       // what fits where packets come in may not fit where they go out
	UnsupportedEswitch   Reason = "path-unsupported/eswitch"   // the two ports belong to different eswitches
	UnsupportedInspector Reason = "path-unsupported/inspector" // packets come out of the inspector of a wire other than they go in
	UnsupportedAction    Reason = "path-unsupported/action"    // any other action; the detail names it
)
