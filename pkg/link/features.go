package link

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/pkg/nlsocket"
)

// hwTC is the kernel's name of NETIF_F_HW_TC (net/ethtool/common.c).
const hwTC = "hw-tc-offload"

// ethSSFeatures is ETH_SS_FEATURES (linux/ethtool.h), the set of the features' names.
const ethSSFeatures = 4

// features asks for one feature, by ethtool's netlink (Documentation/networking/
// ethtool-netlink.rst, FEATURES_GET; Linux 5.8 and later).
type features struct {
	conn   *nlsocket.Conn // nil: the kernel does not tell
	family uint16
	bit    uint32
}

// openFeatures opens a socket in the network namespace of the calling thread.
func openFeatures(cfg nlsocket.Config, name string) (*features, error) {
	conn, err := nlsocket.Dial(unix.NETLINK_GENERIC, cfg)
	if err != nil {
		return nil, err
	}
	f := &features{conn: conn}
	err = f.find(name)
	if err == nil {
		return f, nil
	}
	_ = conn.Close()
	if errors.Is(err, nlsocket.ErrNoFamily) || errors.Is(err, unix.EOPNOTSUPP) {
		return &features{}, nil
	}
	return nil, err
}

func (f *features) find(name string) error {
	family, err := f.conn.FindFamily(context.Background(), "ethtool")
	if err != nil {
		return err
	}
	f.family = family.ID
	e := netlink.NewAttributeEncoder()
	e.Nested(unix.ETHTOOL_A_STRSET_HEADER, func(*netlink.AttributeEncoder) error { return nil })
	e.Nested(unix.ETHTOOL_A_STRSET_STRINGSETS, func(e *netlink.AttributeEncoder) error {
		e.Nested(unix.ETHTOOL_A_STRINGSETS_STRINGSET, func(e *netlink.AttributeEncoder) error {
			e.Uint32(unix.ETHTOOL_A_STRINGSET_ID, ethSSFeatures)
			return nil
		})
		return nil
	})
	found := false
	err = f.do(unix.ETHTOOL_MSG_STRSET_GET, 0, e, func(a *netlink.AttributeDecoder) error {
		if f.bit, found = stringIndex(a, name); !found {
			return a.Err()
		}
		return nil
	})
	if err == nil && !found {
		err = &nlsocket.Error{Errno: unix.EOPNOTSUPP, Message: "no feature " + name}
	}
	return err
}

func (f *features) do(command uint8, flags uint16, e *netlink.AttributeEncoder, take func(*netlink.AttributeDecoder) error) error {
	req, err := nlsocket.GenericRequest(f.family, flags, command, 1, e)
	if err != nil {
		return err
	}
	return f.conn.Do(context.Background(), req, func(m nlsocket.Message) error {
		_, a, err := nlsocket.Generic(m)
		if err != nil {
			return err
		}
		return take(a)
	})
}

// get returns the state of one device, or with index 0 of all by index. A device that
// is gone has none.
func (f *features) get(index int32) (map[int32]Offload, error) {
	all := make(map[int32]Offload)
	if f.conn == nil {
		return all, nil
	}
	var flags uint16
	if index == 0 {
		flags = unix.NLM_F_DUMP
	}
	e := netlink.NewAttributeEncoder()
	e.Nested(unix.ETHTOOL_A_FEATURES_HEADER, func(e *netlink.AttributeEncoder) error {
		if index != 0 {
			e.Uint32(unix.ETHTOOL_A_HEADER_DEV_INDEX, uint32(index))
		}
		e.Uint32(unix.ETHTOOL_A_HEADER_FLAGS, unix.ETHTOOL_FLAG_COMPACT_BITSETS)
		return nil
	})
	err := f.do(unix.ETHTOOL_MSG_FEATURES_GET, flags, e, func(a *netlink.AttributeDecoder) error {
		index, o, err := decodeFeatures(a, f.bit)
		all[index] = o
		return err
	})
	if errors.Is(err, unix.ENODEV) {
		err = nil
	}
	if err != nil {
		return all, fmt.Errorf("read features: %w", err)
	}
	return all, nil
}

func (f *features) close() {
	if f.conn != nil {
		_ = f.conn.Close()
	}
}

// decodeFeatures reads the device and the state of one bit.
func decodeFeatures(a *netlink.AttributeDecoder, bit uint32) (index int32, o Offload, err error) {
	var can, active, fixed bool
	for a.Next() {
		switch a.Type() {
		case unix.ETHTOOL_A_FEATURES_HEADER:
			a.Nested(func(a *netlink.AttributeDecoder) error {
				for a.Next() {
					if a.Type() == unix.ETHTOOL_A_HEADER_DEV_INDEX {
						index = int32(a.Uint32())
					}
				}
				return nil
			})
		case unix.ETHTOOL_A_FEATURES_HW:
			a.Nested(hasBit(bit, &can))
		case unix.ETHTOOL_A_FEATURES_ACTIVE:
			a.Nested(hasBit(bit, &active))
		case unix.ETHTOOL_A_FEATURES_NOCHANGE:
			a.Nested(hasBit(bit, &fixed))
		}
	}
	return index, offloadOf(can, active, fixed), a.Err()
}

// offloadOf: what can be changed is in hw_features, and not among those that never can.
func offloadOf(can, active, fixed bool) Offload {
	switch {
	case can && !fixed && active:
		return On
	case can && !fixed:
		return Off
	case active:
		return OnFixed
	case can:
		return OffFixed
	default:
		return Unsupported
	}
}

// hasBit reads a compact bitset: words of 32 bits in host order, the lowest first.
func hasBit(bit uint32, has *bool) func(*netlink.AttributeDecoder) error {
	return func(a *netlink.AttributeDecoder) error {
		for a.Next() {
			if v := a.Bytes(); a.Type() == unix.ETHTOOL_A_BITSET_VALUE && uint64(len(v)) >= uint64(bit/32+1)*4 {
				*has = binary.NativeEndian.Uint32(v[bit/32*4:])&(1<<(bit%32)) != 0
			}
		}
		return nil
	}
}

// stringIndex finds a string in a reply with one string set.
func stringIndex(a *netlink.AttributeDecoder, want string) (index uint32, found bool) {
	down := []uint16{unix.ETHTOOL_A_STRSET_STRINGSETS, unix.ETHTOOL_A_STRINGSETS_STRINGSET,
		unix.ETHTOOL_A_STRINGSET_STRINGS, unix.ETHTOOL_A_STRINGS_STRING}
	descend(a, down, func(a *netlink.AttributeDecoder) {
		var at uint32
		for a.Next() {
			switch a.Type() {
			case unix.ETHTOOL_A_STRING_INDEX:
				at = a.Uint32()
			case unix.ETHTOOL_A_STRING_VALUE:
				if a.String() == want {
					index, found = at, true
				}
			}
		}
	})
	return index, found
}

// descend calls f for all attributes at the end of a path of nested ones.
func descend(a *netlink.AttributeDecoder, path []uint16, f func(*netlink.AttributeDecoder)) {
	if len(path) == 0 {
		f(a)
		return
	}
	for a.Next() {
		if a.Type() == path[0] {
			a.Nested(func(a *netlink.AttributeDecoder) error {
				descend(a, path[1:], f)
				return nil
			})
		}
	}
}
