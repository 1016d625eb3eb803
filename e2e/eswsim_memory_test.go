package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// memoryTolerance is how many bytes of kernel memory may differ before and after:
// caches of others that fill up with time. Of a million rules it is those of 6 in a
// thousand; noRules is exact.
const memoryTolerance = 3 << 20

// kernelMemory is what the kernel has for itself and cannot give back.
func kernelMemory(t *testing.T) (bytes int) {
	t.Helper()
	shrinkSlabs()
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if f[0] == "SUnreclaim:" || f[0] == "Percpu:" {
			kb, err := strconv.Atoi(f[1])
			if err != nil {
				t.Fatal(err)
			}
			bytes += kb << 10
		}
	}
	return bytes
}

// shrinkSlabs makes every cache give up its empty slabs.
func shrinkSlabs() {
	files, _ := filepath.Glob("/sys/kernel/slab/*/shrink")
	for _, f := range files {
		_ = os.WriteFile(f, []byte("1"), 0)
	}
}

// memoryIsBack waits until what was freed has come back, for some of it is freed only
// after a grace period.
func memoryIsBack(t *testing.T, before int) {
	t.Helper()
	memoryIsBackBut(t, before, memoryTolerance)
}

func memoryIsBackBut(t *testing.T, before, tolerance int) {
	t.Helper()
	now := 0
	defer func() { t.Logf("kernel memory: %d KiB before, %d KiB after", before>>10, now>>10) }()
	harness.Within(t, patience, "kernel memory is back", func() error {
		if now = kernelMemory(t); now > before+tolerance {
			return fmt.Errorf("%d KiB before, %d KiB after", before>>10, now>>10)
		}
		return nil
	})
}

// noRules waits until the cache of the model's rules is empty.
func noRules(t *testing.T) {
	t.Helper()
	const cache = "/sys/kernel/slab/eswsim_rule/"
	harness.Within(t, patience, "no rule in memory", func() error {
		if err := os.WriteFile(cache+"shrink", []byte("1"), 0); err != nil {
			return err
		}
		text, err := os.ReadFile(cache + "objects")
		if err == nil && !strings.HasPrefix(string(text), "0") {
			err = fmt.Errorf("%s objects", strings.TrimSpace(string(text)))
		}
		return err
	})
}
