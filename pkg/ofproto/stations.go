package ofproto

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// FDB reads the forwarding databases of bridges.
type FDB struct{ Caller Caller }

// FDBStats are what OVS counts of one FDB. They differ from what they were when a
// station was learned, moved or forgotten.
type FDBStats struct{ Current, Static, Learned, Expired, Evicted, Moved uint64 }

// Table returns the FDB of a bridge.
func (f *FDB) Table(ctx context.Context, bridge string) (*Table, error) {
	text, err := f.call(ctx, "fdb/show", bridge)
	if err != nil {
		return nil, err
	}
	return ParseFDB(text)
}

// Stats returns the counters of the FDB of a bridge, which costs little, however
// large that is.
func (f *FDB) Stats(ctx context.Context, bridge string) (FDBStats, error) {
	text, err := f.call(ctx, "fdb/stats-show", bridge)
	if err != nil {
		return FDBStats{}, err
	}
	return parseFDBStats(text)
}

func (f *FDB) call(ctx context.Context, method, bridge string) (string, error) {
	text, err := f.Caller.Call(ctx, method, bridge)
	switch {
	case err == nil:
		return text, nil
	case strings.HasSuffix(err.Error(), "no such bridge"):
		return "", fmt.Errorf("%w %s: %w", ErrBridge, bridge, err)
	default:
		return "", fmt.Errorf("FDB of %s: %w", bridge, err)
	}
}

// statsLines are the lines of fdb/stats-show (ofproto_unixctl_fdb_stats_show in
// ofproto/ofproto-dpif.c) after the heading.
var statsLines = []string{
	"Current/maximum MAC entries in the table", "Current static MAC entries in the table",
	"Total number of learned MAC entries", "Total number of expired MAC entries",
	"Total number of evicted MAC entries", "Total number of port moved MAC entries",
}

func parseFDBStats(text string) (FDBStats, error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) != 1+len(statsLines) || !strings.HasPrefix(lines[0], "Statistics for bridge ") {
		return FDBStats{}, fmt.Errorf("FDB statistics: %w: %.80q", ErrFormat, text)
	}
	var values [6]uint64
	for i, line := range lines[1:] {
		name, value, ok := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		if i == 0 {
			value, _, ok = strings.Cut(value, "/")
		}
		n, err := strconv.ParseUint(value, 10, 64)
		if !ok || err != nil || strings.TrimSpace(name) != statsLines[i] {
			return FDBStats{}, fmt.Errorf("FDB statistics: %w: %.80q", ErrFormat, line)
		}
		values[i] = n
	}
	return FDBStats{values[0], values[1], values[2], values[3], values[4], values[5]}, nil
}

// Moved returns, in order, the MACs of stations that are not at the same port in both
// tables, or in one only.
func Moved(before, after *Table) []flows.MAC {
	var moved []flows.MAC
	for _, key := range Left(before, after) {
		moved = append(moved, key.MAC)
	}
	for key := range after.all() {
		if _, ok := before.Lookup(key.VLAN, key.MAC); !ok {
			moved = append(moved, key.MAC)
		}
	}
	return inOrder(moved)
}

// Left returns, in no order, the stations that are at another port than before, or at none.
func Left(before, after *Table) (left []StationKey) {
	for key, station := range before.all() {
		if now, ok := after.Lookup(key.VLAN, key.MAC); !ok || now.Ofport != station.Ofport {
			left = append(left, key)
		}
	}
	return left
}

// inOrder sorts MACs and leaves out those that are there twice.
func inOrder(macs []flows.MAC) []flows.MAC {
	slices.SortFunc(macs, func(a, b flows.MAC) int { return slices.Compare(a[:], b[:]) })
	return slices.Compact(macs)
}

// OlderThan returns, in order, the MACs of learned stations that were not heard of
// for longer than age.
func (t *Table) OlderThan(age time.Duration) []flows.MAC {
	var old []flows.MAC
	for key, station := range t.all() {
		if !station.Static && time.Duration(station.Age)*time.Second > age {
			old = append(old, key.MAC)
		}
	}
	return inOrder(old)
}

func (t *Table) all() map[StationKey]Station {
	if t == nil {
		return nil
	}
	return t.stations
}
