package dbctl

import "testing"

// Reals are written as ovsdb-client dump writes them (Open vSwitch 3.1), which no column of
// Open_vSwitch can show; but none loses digits.
func TestReals(t *testing.T) {
	for number, want := range map[float64]string{
		0.5: "0.5", 1e6: "1000000", 1234567.5: "1234567.5", 1e21: "1e+21", 1e-7: "1e-07", 1e15: "1e+15", 3: "3", -2.5e300: "-2.5e+300",
		0.1: "0.1", 0.30000000000000004: "0.30000000000000004",
	} {
		if got := Plain.atom(number); got != want {
			t.Errorf("%g is written %s, want %s", number, got, want)
		}
	}
}
