package flows

// PortID names one OVS port for the life of the agent. It is never reused: a
// port that is deleted and added again, or whose network device is replaced,
// gets a new one, so neither a name nor a reused ifindex can be taken for what
// it was before. Zero means "no port".
type PortID uint32
