package ovn_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/unixctl"
)

// tracer is an ovn-trace that answers for the Southbound database as it was when it
// started, with one state of conntrack everywhere.
type tracer struct {
	*central
	client unixctl.Client
	pid    int
}

// est is the state of conntrack in which ovn-trace sees a packet of the original
// direction of a connection that is not blocked.
const est = ""

// trace starts a tracer. A state other than est has to be said for each time that a packet
// can meet conntrack, and ovn-trace counts on from packet to packet.
func (c *central) trace(state string, packets int) *tracer {
	c.Helper()
	c.traces++
	dir := c.path(fmt.Sprintf("trace%d", c.traces))
	if err := os.Mkdir(dir, 0o700); err != nil {
		c.Fatal(err)
	}
	pidfile := dir + "/ovn-trace.pid"
	args := []string{"--detach", "--no-chdir", "--pidfile=" + pidfile, "--db=" + c.southbound(), "-vconsole:off", "-vsyslog:off"}
	if state != est {
		for range 2 * packets { // a switch asks conntrack once in each pipeline
			args = append(args, "--ct="+state)
		}
	}
	cmd := c.command(c.bin+"/ovn-trace", args...)
	cmd.Env = append(cmd.Env, "OVN_RUNDIR="+dir, "OVS_RUNDIR="+dir)
	if err := cmd.Run(); err != nil {
		c.Fatal(err)
	}
	t := &tracer{central: c, client: unixctl.Client{Rundir: dir, Daemon: "ovn-trace"}}
	pid, err := os.ReadFile(pidfile)
	if err == nil {
		t.pid, err = strconv.Atoi(strings.TrimSpace(string(pid)))
	}
	if err != nil {
		c.Fatal(err)
	}
	c.Cleanup(t.stop)
	return t
}

// stop ends the tracer, which is no child of the test; it may be called again.
func (t *tracer) stop() {
	if t.pid != 0 {
		_ = syscall.Kill(t.pid, syscall.SIGKILL)
	}
	t.pid = 0
}

// fate is what becomes of a packet from one port to another.
type fate struct {
	left, arrived bool    // it passed the ACLs of its source, and of its destination as well
	asked         [2]bool // conntrack knows it there, by flows.Direction
	text          string  // the whole trace
}

// ask traces a packet.
func (t *tracer) ask(p packet) fate {
	t.Helper()
	text, err := t.client.Call(t.Context(), "trace", p.microflow())
	if err != nil {
		t.Fatalf("%s: %v", p.microflow(), err)
	}
	return readFate(p, text)
}

// readFate reads a detailed trace up to where a reject answers the packet by another one.
func readFate(p packet, text string) fate {
	f := fate{text: text}
	out := fmt.Sprintf("inport=%q, outport=%q", p.from.name, p.to.name)
	arrived := fmt.Sprintf("/* output to %q", p.to.name)
	at := flows.Egress
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "reject {"):
			return f
		case strings.HasPrefix(line, "egress(dp=") && strings.Contains(line, out):
			f.left, at = true, flows.Ingress
		case strings.HasPrefix(line, "ct_next(ct_state="):
			f.asked[at] = true
		case strings.HasPrefix(line, arrived):
			f.arrived = true
		}
	}
	return f
}
