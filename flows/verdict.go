package flows

// Verdict is what shall happen to a connection.
type Verdict uint8

// Inspect leaves it in the slow path, Offload moves it to the eswitch, Drop
// leaves it to the slow path to refuse.
const (
	Inspect Verdict = iota
	Offload
	Drop
)

// String returns the lower-case name.
func (v Verdict) String() string {
	switch v {
	case Offload:
		return "offload"
	case Drop:
		return "drop"
	default:
		return "inspect"
	}
}
