package control

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// peerGroups returns the supplementary groups of a peer (Linux 4.13); none where that fails.
// golang.org/x/sys has no call for it.
func peerGroups(fd int) []uint32 {
	for n := 64; n <= maxGroups; n *= 4 {
		list := make([]uint32, n)
		size := uint32(4 * n)
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&list[0])), uintptr(unsafe.Pointer(&size)), 0)
		switch errno {
		case 0:
			return list[:size/4]
		case unix.ERANGE:
		default:
			return nil
		}
	}
	return nil
}
