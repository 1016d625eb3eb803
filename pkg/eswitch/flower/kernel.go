package flower

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// tellsDF reports whether the kernel knows of tunnel_key's no-fragment flag (Linux 6.4).
// An older one ignores it, and sends without DF.
func tellsDF() bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	var major, minor int
	n, _ := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &major, &minor)
	return n == 2 && (major > 6 || major == 6 && minor >= 4)
}
