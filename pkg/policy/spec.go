package policy

// Spec is an offload policy as it is written: the columns of table Offload_Policy
// (docs/policy.md). An empty list is no condition; of several values one has to fit.
type Spec struct {
	Name     string
	Priority int
	Disabled bool

	Protocols      []string
	SrcPrefixes    []string
	DstPrefixes    []string
	SrcPorts       []string
	DstPorts       []string
	Interfaces     []string
	IfaceIDs       []string
	SecurityGroups []string
	Tenants        []string
	DSCP           []int
	Applications   []string
	ServerNames    []string

	Verdict string // empty: inspect

	ElephantBytes     int
	ElephantRate      int  // bytes per second
	ElephantAge       int  // seconds
	InspectPackets    *int // nil: flows.DefaultInspectPackets
	MaxLifetime       int  // seconds; 0: as the agent is configured
	ReinspectInterval int  // seconds; 0: never
}

// ProfileSpec is a decryption profile as it is written: the columns of table
// Decryption_Profile.
type ProfileSpec struct {
	Name        string
	Disabled    bool
	DstPrefixes []string
	DstPorts    []string
	ServerNames []string
}

// Bounds of what is compiled. What is over them is a Problem.
const (
	MaxPolicies   = 10_000
	MaxProfiles   = 1_000
	MaxValues     = 1_024  // of one column
	MaxConditions = 65_536 // values of all policies, and again of all profiles
	maxText       = 255    // bytes of one value
)
