package check

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func isRoot() bool { return os.Geteuid() == 0 }

// subject is the process whose privileges and limits count: the agent's where one runs,
// else our own.
func (n *node) subject() (dir, who string) {
	if agents := n.named("flowshuntd"); len(agents) > 0 {
		return "proc/" + agents[0].pid, "the agent"
	}
	return "proc/self", "this process"
}

// capabilities are those that the unit gives the agent (hack/systemd/flowshuntd.service).
var capabilities = []struct {
	bit       uint
	name, why string
	spare     bool
}{
	{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN", "rules and conntrack entries cannot be changed", false},
	{unix.CAP_NET_RAW, "CAP_NET_RAW", "packets cannot be seen at ports, so paths are not found", false},
	{unix.CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE", "sockets of OVS that belong to another user cannot be used", true},
	{unix.CAP_CHOWN, "CAP_CHOWN", "the control socket cannot be given to the group flowshunt", true},
}

func privileges(_ context.Context, n *node) []Line {
	const name = "capabilities"
	dir, who := n.subject()
	status, err := read(n.root, dir+"/status")
	if err != nil {
		return []Line{unknown(name, err)}
	}
	_, rest, found := strings.Cut(status, "CapEff:")
	if !found {
		return []Line{unknown(name, errors.New("/"+dir+"/status does not tell them"))}
	}
	effective, err := strconv.ParseUint(strings.Fields(rest)[0], 16, 64)
	if err != nil {
		return []Line{unknown(name, err)}
	}
	var missing, why []string
	essential := false
	for _, c := range capabilities {
		if effective&(1<<c.bit) == 0 {
			missing, why = append(missing, c.name), append(why, c.why)
			essential = essential || !c.spare
		}
	}
	switch {
	case len(missing) == 0:
		return []Line{ok(name, "%s has all that are needed", who)}
	case who != "the agent":
		l := unknown(name, fmt.Errorf("this process lacks %s", strings.Join(missing, ", ")))
		l.Root = true
		return []Line{l.why("what only root is told is not known: the other unknown lines").fix("run flowshuntctl check as root")}
	}
	l := warning(name, "%s lacks %s", who, strings.Join(missing, ", "))
	if essential {
		l.Status = Fatal
	}
	return []Line{l.why("%s", strings.Join(why, "; ")).fix("systemctl cat flowshuntd # CapabilityBoundingSet=" + strings.Join(missing, " "))}
}

// openFiles: the agent has a socket at each port in use and a few dozen more. Locked
// memory is not looked at: nothing locks any.
func openFiles(_ context.Context, n *node) []Line {
	const name, own = "open files", 128
	dir, who := n.subject()
	text, err := read(n.root, dir+"/limits")
	if err != nil {
		return []Line{unknown(name, err)}
	}
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		rest, found := strings.CutPrefix(lines.Text(), "Max open files")
		if f := strings.Fields(rest); found && len(f) > 0 {
			limit, err := strconv.ParseUint(f[0], 10, 64)
			wanted := uint64(own + len(n.Ports))
			if err == nil && limit < wanted {
				return []Line{warning(name, "%s may open %d", who, limit).
					why("it needs about %d: one at each port", wanted).fix("systemctl edit flowshuntd # LimitNOFILE=65536")}
			}
			return []Line{ok(name, "%s may open %s", who, f[0])}
		}
	}
	return []Line{unknown(name, errors.New("/"+dir+"/limits does not tell"))}
}

// receiveBuffers: with CAP_NET_ADMIN in the initial user namespace the limit does not
// hold (SO_RCVBUFFORCE); an agent asks for up to 32 MiB.
func receiveBuffers(_ context.Context, n *node) []Line {
	const name, wanted = "receive buffers", 8 << 20
	limit, err := n.sysctl("net.core.rmem_max")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return []Line{ok(name, "net.core.rmem_max is that of the initial network namespace")}
	case err != nil:
		return []Line{unknown(name, err)}
	}
	if mapping, err := read(n.root, "proc/self/uid_map"); err == nil && initialUsers(mapping) {
		return []Line{ok(name, "net.core.rmem_max is %d; with CAP_NET_ADMIN it does not matter", limit)}
	}
	if limit < wanted {
		return []Line{warning(name, "net.core.rmem_max is %d", limit).
			why("in a user namespace it holds, and conntrack events are lost in bursts").
			fix(setSysctl("net.core.rmem_max", 32<<20)...)}
	}
	return []Line{ok(name, "net.core.rmem_max is %d", limit)}
}

// initialUsers recognizes the user namespace that maps everything onto itself.
func initialUsers(mapping string) bool {
	return slices.Equal(strings.Fields(mapping), []string{"0", "0", "4294967295"})
}
