package check

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
)

// maxFile bounds what is read of one file; modules.dep and modules.alias of a
// distribution have a few hundred KiB.
const maxFile = 8 << 20

func read(root fs.FS, name string) (string, error) {
	f, err := root.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile))
	return string(bytes.TrimSpace(b)), err
}

func readNumber(root fs.FS, name string) (uint64, error) {
	s, err := read(root, name)
	if err != nil {
		return 0, err
	}
	v, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("/%s: %w", name, err)
	}
	return v, nil
}

// sysctl reads a value by its name for sysctl(8).
func (n *node) sysctl(name string) (uint64, error) {
	return readNumber(n.root, "proc/sys/"+strings.ReplaceAll(name, ".", "/"))
}

func (n *node) exists(name string) bool {
	_, err := fs.Stat(n.root, name)
	return err == nil
}

// setSysctl are the commands that set a value now and for the next boot.
func setSysctl(name string, value uint64) []string {
	return []string{
		fmt.Sprintf("sysctl -w %s=%d", name, value),
		fmt.Sprintf("echo '%s = %d' >>/etc/sysctl.d/60-flowshunt.conf", name, value),
	}
}
