package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// losses reads what conntrack had to drop since the boot. The file has a column for each
// counter, by name, and a line of hexadecimal numbers for each CPU (ct_cpu_seq_show); the
// first column alone is the same in all lines.
func losses(_ context.Context, n *node) []Line {
	const name = "losses"
	text, err := read(n.root, "proc/thread-self/net/stat/nf_conntrack")
	if errors.Is(err, fs.ErrNotExist) {
		text, err = read(n.root, "proc/net/stat/nf_conntrack")
	}
	if err != nil {
		return []Line{unknown(name, err)}
	}
	sum, err := sumColumns(text)
	if err != nil {
		return []Line{unknown(name, err)}
	}
	found := fmt.Sprintf("dropped %d, dropped early %d, not inserted %d, since the boot",
		sum["drop"], sum["early_drop"], sum["insert_failed"])
	if sum["drop"] > 0 || sum["early_drop"] > 0 {
		return []Line{warning(name, "%s", found).
			why("the table was full: packets of new connections were dropped, or entries that were not assured evicted for them").
			fix("compare with 'conntrack -S' later; if it grows: sysctl -w " + conntrackKey + "max=...")}
	}
	return []Line{ok(name, "%s", found)}
}

func sumColumns(text string) (map[string]uint64, error) {
	lines := strings.Split(text, "\n")
	heads := strings.Fields(lines[0])
	sum := make(map[string]uint64)
	for _, line := range lines[1:] {
		cells := strings.Fields(line)
		if len(cells) != len(heads) {
			return nil, fmt.Errorf("/proc/net/stat/nf_conntrack: %d columns, %d headings", len(cells), len(heads))
		}
		for i, cell := range cells {
			v, err := strconv.ParseUint(cell, 16, 64)
			if err != nil {
				return nil, fmt.Errorf("/proc/net/stat/nf_conntrack: %w", err)
			}
			sum[heads[i]] += v
		}
	}
	return sum, nil
}
