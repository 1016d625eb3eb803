package e2e

import (
	"os"
	"testing"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// slow says that all is to be told, however long it takes: make test-all.
func slow() bool { return os.Getenv("FLOWSHUNT_SLOW") != "" }

// torture says that the model of the NIC is to be loaded for as long as its promise says,
// FLOWSHUNT_SLOW=torture: about half an hour in an emulated machine.
func torture() bool { return os.Getenv("FLOWSHUNT_SLOW") == "torture" }

// slowly skips a story that is told only with FLOWSHUNT_SLOW.
func slowly(t *testing.T) {
	t.Helper()
	if !slow() {
		t.Skip("FLOWSHUNT_SLOW is not set")
	}
}

// betterOnEswsim skips a story in software that is told only with FLOWSHUNT_SLOW: its
// variant on eswsim says more, and where that is told, each story is told once.
func betterOnEswsim(t *testing.T) {
	t.Helper()
	if !harness.Modelled() && os.Getenv("FLOWSHUNT_ESWSIM") != "" && !slow() {
		t.Skip("told on eswsim; FLOWSHUNT_SLOW is not set")
	}
}
