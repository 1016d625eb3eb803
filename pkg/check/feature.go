package check

import (
	"encoding/binary"
	"errors"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What linux/ethtool.h calls these.
const (
	featureStrings  = 4 // ETH_SS_FEATURES
	stringLen       = 32
	maxFeatures     = 1024 // bounds what a device may claim; Linux 6.18 has 64
	featuresPerWord = 32
)

const hwTCOffloadName = "hw-tc-offload"

var errNoFeature = errors.New("the device has no " + hwTCOffloadName)

// readHWTCOffload reports whether a driver is asked to take rules of the device.
func readHWTCOffload(name string) (on bool, err error) {
	err = withSocket(func(fd int) error {
		names, err := featureNames(fd, name)
		if err != nil {
			return err
		}
		bit := slices.Index(names, hwTCOffloadName)
		if bit < 0 {
			return errNoFeature
		}
		on, err = activeFeature(fd, name, len(names), bit)
		return err
	})
	return on, err
}

// featureNames asks how many there are (ETHTOOL_GSSET_INFO) and then for them.
func featureNames(fd int, device string) ([]string, error) {
	count := make([]byte, 16+4)
	binary.NativeEndian.PutUint32(count, unix.ETHTOOL_GSSET_INFO)
	binary.NativeEndian.PutUint64(count[8:], 1<<featureStrings)
	if err := ethtool(fd, device, count); err != nil {
		return nil, err
	}
	n := int(binary.NativeEndian.Uint32(count[16:]))
	if n > maxFeatures {
		return nil, errors.New("the device claims to have too many features")
	}
	text := make([]byte, 12+n*stringLen)
	binary.NativeEndian.PutUint32(text, unix.ETHTOOL_GSTRINGS)
	binary.NativeEndian.PutUint32(text[4:], featureStrings)
	binary.NativeEndian.PutUint32(text[8:], uint32(n))
	if err := ethtool(fd, device, text); err != nil {
		return nil, err
	}
	var names []string
	for s := range slices.Chunk(text[12:], stringLen) {
		names = append(names, unix.ByteSliceToString(s))
	}
	return names, nil
}

// activeFeature reads one bit of struct ethtool_gfeatures: for each 32 features the
// words available, requested, active, never_changed.
func activeFeature(fd int, device string, n, bit int) (bool, error) {
	words := (n + featuresPerWord - 1) / featuresPerWord
	b := make([]byte, 8+words*16)
	binary.NativeEndian.PutUint32(b, unix.ETHTOOL_GFEATURES)
	binary.NativeEndian.PutUint32(b[4:], uint32(words))
	if err := ethtool(fd, device, b); err != nil {
		return false, err
	}
	active := binary.NativeEndian.Uint32(b[8+bit/featuresPerWord*16+8:])
	return active&(1<<(bit%featuresPerWord)) != 0, nil
}

// ethtool passes a request of linux/ethtool.h, which is answered in place.
func ethtool(fd int, device string, request []byte) error {
	var ifreq struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte // the rest of the kernel's union
	}
	if len(device) >= len(ifreq.name) {
		return unix.ENODEV
	}
	copy(ifreq.name[:], device)
	ifreq.data = unsafe.Pointer(&request[0])
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&ifreq)))
	runtime.KeepAlive(request)
	if errno != 0 {
		return errno
	}
	return nil
}
