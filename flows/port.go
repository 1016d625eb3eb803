package flows

// PortID names one OVS port for the life of the agent. It is never reused: a
// port that is deleted and added again, or whose network device is replaced,
// gets a new one, so neither a name nor a reused ifindex can be taken for what
// it was before. Zero means "no port".
type PortID uint32

// EswitchID names what executes the rules of a port: the eswitch whose representor it
// is, by the kernel's phys_switch_id as lower-case hexadecimal digits
// (Documentation/networking/switchdev.rst). Empty means that no hardware does: the
// kernel executes them in software.
type EswitchID string

// LogicalPort is what the cloud's network service calls a port: OVN's logical_port,
// Neutron's port id. It stands in external_ids:iface-id of the Open vSwitch interface.
// Empty: it knows nothing of the port.
type LogicalPort string
