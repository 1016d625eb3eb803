// Package benchtest writes what measurements against a peer have found, for
// hack/bench to collect. It is for tests only.
package benchtest

import (
	"cmp"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"testing"
)

// env names the file that rows are appended to.
const env = "FLOWSHUNT_BENCH_JSON"

// Row is one measurement.
type Row struct {
	Name     string  `json:"name"`
	Unit     string  `json:"unit"`
	Ours     float64 `json:"ours"`
	Peer     float64 `json:"peer"`
	PeerName string  `json:"peer_name"`
	Ratio    float64 `json:"ratio"` // above 1: ours is better
}

// Rate is a row of what is the better the more there is of it.
func Rate(name, unit string, ours, peer float64, peerName string) Row {
	return Row{name, unit, ours, peer, peerName, ours / peer}
}

// Need skips a test that does nothing but write rows where nobody collects them.
func Need(t testing.TB) {
	t.Helper()
	if os.Getenv(env) == "" {
		t.Skip(env + ": not set")
	}
}

// Report logs rows and, where FLOWSHUNT_BENCH_JSON names a file, appends each to it as
// one line.
func Report(t testing.TB, rows ...Row) {
	t.Helper()
	for _, r := range rows {
		line, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s", line)
		if file := os.Getenv(env); file != "" {
			f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
			if err != nil {
				t.Fatal(err)
			}
			_, err = f.Write(append(line, '\n'))
			if err := errors.Join(err, f.Close()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Median returns the middle one of values, which it sorts.
func Median[T cmp.Ordered](values []T) T {
	slices.Sort(values)
	return values[len(values)/2]
}
