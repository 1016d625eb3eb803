package control

import (
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// Mode is what the agent was told to do. Zero means "not known".
type Mode uint8

// Observe decides, counts and explains; Enforce also installs.
const (
	ModeObserve Mode = iota + 1
	ModeEnforce
)

// String returns the word that the agent's --mode flag takes.
func (m Mode) String() string { return nameOf(m, "observe", "enforce") }

// Health is the condition of a component. Zero means "not known".
type Health uint8

// A component that is starting was not healthy yet; one that has failed was, or
// gave up.
const (
	HealthOK Health = iota + 1
	HealthStarting
	HealthFailed
)

// String returns a lower-case word.
func (h Health) String() string { return nameOf(h, "ok", "starting", "failed") }

// Status is how an agent is at one moment.
type Status struct {
	Version string
	Mode    Mode // as configured

	// ObserveReason says why an agent in ModeEnforce only observes
	// (flows.OVSHWOffload). Empty where it does what Mode says.
	ObserveReason flows.Reason
	ObserveDetail string

	Now        time.Time // the agent's clock
	Uptime     time.Duration
	Ready      bool
	Components []Component // in the order in which they depend on each other
	Ports      []Port
	Budgets    []Budget
	Tables     []Table // by eswitch
	LastDump   Dump
	Wires      []Wire
}

// Component is one thing that the agent depends on, as "ovsdb" or
// "conntrack-events".
type Component struct {
	Name        string
	Health      Health
	Since       time.Time // when Health became what it is
	LastError   string    // kept after recovery; empty if there never was one
	LastErrorAt time.Time
}

// Port is one OVS port that the agent knows.
type Port struct {
	Name, Bridge string
	Ifindex      int32        // 0 without a network device
	Usable       bool         // sessions may use it
	Reason       flows.Reason // why not; empty if Usable
	Detail       string
	Sessions     uint64 // offloaded, in either direction
	Candidates   uint64 // chosen and waiting

	Eswitch     flows.EswitchID // of the NIC that executes its rules; empty: none does
	Function    string          // what it stands for there, as "pf0vf3" or "uplink p0"; empty: it is no representor, or nothing tells
	Device      string          // that the eswitch is in, as devlink names it: "pci/0000:03:00.0"
	VFDevice    string          // network device of the virtual function, where the host has it
	HWTCOffload string          // "on", "off", "not supported", ...; empty without a network device
}

// Wire is a virtual wire that the agent keeps.
type Wire struct {
	Name       string
	Ports      [2]string // its ends
	Inspectors [2]string // empty: there is none
	FailOpen   bool
	State      string    // "through", "inspected", "open", "closed" or "unready"
	Since      time.Time // when it became that
	Bridge     string    // empty while unready
	Zones      [2]uint16 // of conntrack, by end; 0 while unready
	Detail     string    // why it is unready, open or closed
	Problem    string    // what else is not as it should be
}

// Budget is a bound and what is used of it: sessions in the table, insertions
// per second, followed connections, ...
type Budget struct {
	Name, Unit string
	Used       uint64
	Limit      uint64 // 0: none
}

// Table is what the agent knows of the table of one eswitch.
type Table struct {
	Eswitch    flows.EswitchID // empty: software
	Rules      uint64          // of ours
	Believed   uint64          // rules that it is believed to hold; 0: no bound was met
	LearnedAt  time.Time       // when Believed became what it is; zero: never
	Window     uint64          // sessions that may be on their way in at once
	Installing uint64          // sessions that are
	PerSecond  float64         // sessions that got in, lately
	Waiting    uint64          // connections that want to get in
	Refused    uint64          // installations refused for want of room
	Shut       []string        // kinds of connections that it refuses for another reason, with what it said
}

// Dump is a full read of conntrack. Zero before the first one.
type Dump struct {
	At      time.Time // when it ended
	Took    time.Duration
	Entries uint64
}
