package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/flowshunt/flowshunt/pkg/openflow"
)

// bridges: only what the kernel's datapath forwards can be bypassed by tc.
func bridges(_ context.Context, n *node) []Line {
	const name = "bridges"
	if lines, undone := n.undone(name); undone {
		return lines
	}
	var kernel, other []string
	for _, b := range n.Bridges {
		if b.DatapathType == "system" {
			kernel = append(kernel, b.Name)
		} else {
			other = append(other, fmt.Sprintf("%s (%s)", b.Name, b.DatapathType))
		}
	}
	const why = "only the kernel's datapath can be bypassed by tc (path-unsupported/datapath)"
	switch {
	case len(kernel) == 0 && len(other) == 0:
		return []Line{warning(name, "there is none").why("nothing can be offloaded before the cloud's agent made them")}
	case len(kernel) == 0:
		return []Line{fatal(name, "none on the kernel's datapath: %s", some(other)).why(why).
			fix("ovs-vsctl set bridge NAME datapath_type=system").detail(other)}
	case len(other) > 0:
		return []Line{warning(name, "%s; not on the kernel's datapath: %s", some(kernel), some(other)).why(why).detail(other)}
	}
	return []Line{ok(name, "%s", some(kernel)).detail(kernel)}
}

// openFlow tries what an agent does: it watches the flow tables over the management socket.
func openFlow(ctx context.Context, n *node) []Line {
	const name = "flow monitor"
	if lines, undone := n.undone(name); undone {
		return lines
	}
	if lines, unasked := n.unasked(name); unasked {
		return lines
	}
	rows, _ := selectRows(ctx, n.OVSDB)
	var good, bad, fix []string
	for _, b := range n.Bridges {
		v, err := watch(ctx, openflow.SocketPath(n.OVSRundir, b.Name))
		switch {
		case denied(err), errors.Is(err, openflow.ErrPermission):
			l := unknown(name, err)
			l.Root = true
			return []Line{l}
		case err != nil:
			fix = append(fix, permit(b.Name, rows.protocols[b.Name]))
			bad = append(bad, fmt.Sprintf("%s (protocols %s): %s", b.Name, cmp.Or(strings.Join(rows.protocols[b.Name], ","), "default"), oneLine(err.Error())))
		default:
			good = append(good, fmt.Sprintf("%s %s", b.Name, v))
		}
	}
	if len(bad) > 0 {
		return []Line{warning(name, "%s: %s", plural(len(bad), "bridge tells no changes", "bridges tell no changes"), some(bad)).
			why("their sessions are confirmed each second instead, which costs OVS time").
			fix(fix[:min(len(fix), 3)]...).detail(bad)}
	}
	return []Line{ok(name, "%s", plural(len(good), "bridge tells its changes", "bridges tell their changes")).detail(good)}
}

// permit has a bridge speak a version that can watch besides those that it has been told.
// One that has been told none speaks all, and a list would take the others from it.
func permit(bridge string, protocols []string) string {
	if len(protocols) > 0 {
		return "ovs-vsctl add bridge " + bridge + " protocols OpenFlow13"
	}
	return "ovs-ofctl show " + bridge
}

// watcher ends as soon as the bridge watches.
type watcher struct {
	version openflow.Version
	stop    context.CancelFunc
}

func (w *watcher) Watching(v openflow.Version) { w.version = v; w.stop() }
func (w *watcher) Changed([]openflow.Change)   {}
func (w *watcher) Lost(error)                  {}

func watch(ctx context.Context, socket string) (openflow.Version, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	w := &watcher{stop: cancel}
	err := openflow.Watch(ctx, openflow.Config{Socket: socket, Timeout: patience}, w)
	if w.version != 0 {
		return w.version, nil
	}
	return 0, err
}

// ageing: a station all of whose packets bypass OVS is forgotten after this long; one of
// its sessions takes the slow path for a moment before (docs/decisions/0009-mac-ageing.md).
func ageing(_ context.Context, n *node) []Line {
	const name, short = "mac ageing", 30 * time.Second
	if lines, undone := n.undone(name); undone {
		return lines
	}
	var found []string
	low := false
	for _, b := range n.Bridges {
		found = append(found, fmt.Sprintf("%s %v", b.Name, b.MACAging))
		low = low || b.MACAging < short
	}
	slices.Sort(found)
	if low {
		return []Line{warning(name, "%s", some(found)).
			why("each station's sessions leave the NIC for a moment at half of that (mac-ageing)").
			fix("ovs-vsctl remove bridge NAME other_config mac-aging-time").detail(found)}
	}
	if len(found) == 0 {
		return []Line{ok(name, "no bridge")}
	}
	return []Line{ok(name, "%s", some(found)).detail(found)}
}
