package representor

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/flowshunt/flowshunt/pkg/devlink"
)

// Sysfs is where sysfs is mounted; empty means /sys. It knows which PCI function is a
// virtual one of which (Documentation/ABI/testing/sysfs-bus-pci, virtfnN and physfn).
type Sysfs string

// maxVFs bounds what is looked through: PCI Express has 16 bits for their number, real
// devices some hundreds.
const maxVFs = 1 << 12

func (s Sysfs) pci(function string, rest ...string) string {
	root := string(s)
	if root == "" {
		root = "/sys"
	}
	return filepath.Join(append([]string{root, "bus/pci/devices", function}, rest...)...)
}

// physical returns the physical function of a virtual one and which one it is of it.
// It is false for what is no virtual function.
func (s Sysfs) physical(virtual string) (pf string, vf uint16, ok bool) {
	target, err := os.Readlink(s.pci(virtual, "physfn"))
	if err != nil {
		return "", 0, false
	}
	pf = filepath.Base(target)
	for n := range uint16(maxVFs) {
		target, err := os.Readlink(s.pci(pf, fmt.Sprint("virtfn", n)))
		if err != nil {
			break
		}
		if filepath.Base(target) == virtual {
			return pf, n, true
		}
	}
	return "", 0, false
}

// isPhysical reports whether a PCI function can have virtual ones.
func (s Sysfs) isPhysical(function string) bool {
	_, err := os.Stat(s.pci(function, "sriov_totalvfs"))
	return err == nil
}

// VFNetdev returns the network device of the function that r stands for, if that is a
// VF of this host whose device is in the network namespace that sysfs was mounted in;
// else "". Those that a guest or another namespace has are not.
func (s Sysfs) VFNetdev(r Representor) string {
	pf, onPCI := strings.CutPrefix(r.Device, "pci/")
	if r.Flavour != devlink.PCIVF || r.External || !onPCI {
		return ""
	}
	entries, err := os.ReadDir(s.pci(pf, fmt.Sprint("virtfn", r.VF), "net"))
	if err != nil || len(entries) == 0 {
		return ""
	}
	return entries[0].Name()
}
