package harness

import (
	"testing"
	"time"
)

// pollInterval is how often a condition is looked at. Each look may start a
// process, which costs 50 ms where the machine is emulated.
const pollInterval = 50 * time.Millisecond

// Within waits until the condition holds, and fails the test with the
// condition's last error when it does not within the limit.
func Within(t testing.TB, limit time.Duration, what string, holds func() error) {
	t.Helper()
	if err := waitFor(limit, holds); err != nil {
		t.Fatalf("not within %v: %s: %v", limit, what, err)
	}
}

// Throughout watches a condition for a time and fails the test as soon as it
// does not hold.
func Throughout(t testing.TB, during time.Duration, what string, holds func() error) {
	t.Helper()
	for end := time.Now().Add(during); ; pause() {
		if err := holds(); err != nil {
			t.Fatalf("not throughout %v: %s: %v", during, what, err)
		}
		if time.Now().After(end) {
			return
		}
	}
}

func waitFor(limit time.Duration, holds func() error) error {
	for end := time.Now().Add(limit); ; pause() {
		err := holds()
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}

func pause() { <-time.After(pollInterval) }
