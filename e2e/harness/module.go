package harness

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// loadEswsim loads the module that hack/eswsim has built for the running kernel, and
// makes its control files visible.
var loadEswsim = sync.OnceValue(func() error {
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return err
	}
	file := filepath.Join("../build/eswsim", strings.TrimSpace(string(release)), "eswsim.ko")
	if _, err := os.Stat(file); err != nil {
		return fmt.Errorf("the kernel module eswsim is missing: %w (hack/e2e builds it for its virtual machines, hack/eswsim for others)", err)
	}
	if out, err := exec.Command("insmod", file).CombinedOutput(); err != nil && !loaded() {
		return fmt.Errorf("insmod %s: %w: %s", file, err, out)
	}
	return mountDebugfs()
})

func loaded() bool {
	_, err := os.Stat("/sys/module/eswsim")
	return err == nil
}

func mountDebugfs() error {
	_, err := os.Stat(eswsimControl)
	if errors.Is(err, os.ErrNotExist) {
		err = unix.Mount("debugfs", "/sys/kernel/debug", "debugfs", 0, "")
	}
	if err == nil {
		_, err = os.Stat(eswsimControl)
	}
	if err != nil {
		return fmt.Errorf("control files of eswsim: %w", err)
	}
	return nil
}
