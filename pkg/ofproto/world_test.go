package ofproto

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/megaflow"
	"github.com/flowshunt/flowshunt/pkg/unixctl"
	"github.com/flowshunt/flowshunt/pkg/unixctl/ovstest"
)

// world is a real OVS with bridges and flows for every kind of case.
type world struct {
	*unixctl.Client
	ovs   *ovstest.OVS
	ports string // what dpif/show says
}

func newWorld(t testing.TB) *world {
	t.Helper()
	ovs, _ := ovstest.StartAlone(t)
	w := &world{ovs: ovs, Client: &unixctl.Client{Rundir: ovs.Rundir}}
	w.bridge("br0", "a=1", "b=2", "c=3")
	w.bridge("br1", "d=2")
	w.bridge("vlan", "v7=1 tag=7", "w7=2 tag=7", "v8=3 tag=8", "trunk=4")
	ovs.Vsctl("add-port", "br0", "pa", "--", "set", "interface", "pa", "type=patch", "options:peer=pb", "ofport_request=4",
		"--", "add-port", "br1", "pb", "--", "set", "interface", "pb", "type=patch", "options:peer=pa", "ofport_request=1")
	ovs.Vsctl("add-port", "br0", "tun", "--", "set", "interface", "tun", "type=geneve", "options:remote_ip=flow", "options:key=flow", "ofport_request=5")
	w.flows(t, "br0", br0Groups, br0Flows)
	w.flows(t, "br1", "", br1Flows)
	w.flows(t, "vlan", "", "actions=NORMAL")
	w.call(t, "fdb/add", "vlan", "w7", "7", "02:00:00:00:00:02")
	w.ports = w.call(t, "dpif/show")
	return w
}

// bridge adds a bridge with internal ports, each NAME=OFPORT and maybe columns.
func (w *world) bridge(name string, ports ...string) {
	args := []string{"add-br", name, "--", "set", "bridge", name, "datapath_type=netdev", "fail_mode=secure"}
	for _, p := range ports {
		p, columns, _ := strings.Cut(p, " ")
		port, ofport, _ := strings.Cut(p, "=")
		args = append(args, "--", "add-port", name, port)
		args = append(args, strings.Fields(columns)...)
		args = append(args, "--", "set", "interface", port, "type=internal", "ofport_request="+ofport)
	}
	w.ovs.Vsctl(args...)
}

func (w *world) call(t testing.TB, method string, args ...string) string {
	t.Helper()
	text, err := w.Call(t.Context(), method, args...)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (w *world) flows(t testing.TB, bridge, groups, flows string) {
	t.Helper()
	for _, c := range []struct{ command, text string }{{"add-groups", groups}, {"add-flows", flows}} {
		cmd := exec.Command("ovs-ofctl", "-O", "OpenFlow15", c.command, "unix:"+filepath.Join(w.ovs.Rundir, bridge+".mgmt"), "-")
		cmd.Stdin = strings.NewReader(c.text)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", c.command, err, out)
		}
	}
}

// nested finds ids and ports inside of actions that are kept as text.
var nested = regexp.MustCompile(`\b(recirc|le)\(\w+\)`)

var portLine = regexp.MustCompile(`(?m)^ +(\S+) (\d+)/(\d+): `)

// portNames maps the datapath's port numbers to names.
func portNames(show string) map[uint32]string {
	names := map[uint32]string{}
	for _, m := range portLine.FindAllStringSubmatch(show, -1) {
		n, _ := strconv.ParseUint(m[3], 10, 32)
		names[uint32(n)] = m[1]
	}
	return names
}

// at says where the port of a query is in the datapath.
func at(show string, q Query) *Datapath {
	_, ports, _ := strings.Cut(show, "\n  "+q.Bridge+":\n")
	for _, m := range portLine.FindAllStringSubmatch(ports, -1) {
		if m[2] == strconv.Itoa(int(q.InPort)) {
			n, _ := strconv.ParseUint(m[3], 10, 32)
			return &Datapath{Type: "netdev", Port: uint32(n)}
		}
	}
	return nil
}

// render writes the actions of a trace, one line a stage; ports have their names and
// recirculations are numbered by their order.
func render(tr *Trace, names map[uint32]string) string {
	r := renderer{names, map[uint32]int{}}
	var lines []string
	for _, stage := range tr.Stages {
		lines = append(lines, r.actions(stage.Actions))
	}
	return strings.Join(lines, "\n")
}

type renderer struct {
	names map[uint32]string
	order map[uint32]int
}

func (r renderer) actions(all []megaflow.Action) string {
	var words []string
	for _, a := range all {
		words = append(words, r.action(a))
	}
	return cmp.Or(strings.Join(words, " "), "drop")
}

func (r renderer) action(a megaflow.Action) string {
	switch a := a.(type) {
	case megaflow.Output:
		return cmp.Or(r.names[a.Port], "?")
	case megaflow.Recirc:
		if r.order[a.ID] == 0 {
			r.order[a.ID] = len(r.order) + 1
		}
		return fmt.Sprintf("recirc(%d)", r.order[a.ID])
	case megaflow.CT:
		return renderCT(a)
	case megaflow.CTClear:
		return "ct_clear"
	case megaflow.PushVLAN:
		return fmt.Sprintf("push(%s)", a.Tag)
	case megaflow.PopVLAN:
		return "pop"
	case megaflow.Set:
		return fmt.Sprintf("%s=%s", a.Field, strings.TrimLeft(fmt.Sprintf("%x", a.Value), "0"))
	case megaflow.DecTTL:
		return fmt.Sprintf("dec_ttl(%d)", a.N)
	case megaflow.Encap:
		return fmt.Sprintf("encap(%s)", a.Tunnel.Value())
	case megaflow.TunnelOutput:
		return fmt.Sprintf("%s(%s)", cmp.Or(r.names[a.Port], "?"), a.Tunnel.Value())
	case megaflow.CheckLength:
		return fmt.Sprintf("check(%d: %s, %s)", a.Size, r.actions(a.Longer), r.actions(a.Fits))
	case megaflow.Unsupported:
		return fmt.Sprintf("%s<%s>", a.Reason, nested.ReplaceAllString(a.Name, "$1(N)"))
	}
	return fmt.Sprintf("%T", a)
}

// outputs names the ports that a trace without recirculations puts the packet out
// at. The order of a flood is that of a hash table.
func outputs(tr *Trace, names map[uint32]string) string {
	var words []string
	for _, a := range tr.Stages[0].Actions {
		if out, ok := a.(megaflow.Output); ok {
			words = append(words, names[out.Port])
		}
	}
	slices.Sort(words)
	return strings.Join(words, " ")
}

func renderCT(ct megaflow.CT) string {
	s := fmt.Sprintf("ct(%d", ct.Zone)
	for _, flag := range []struct {
		word string
		set  bool
	}{{" commit", ct.Commit}, {" force", ct.Force}, {" nat", ct.NAT}, {" src", ct.NATSrc}, {" dst", ct.NATDst}, {" helper", ct.Helper != ""}} {
		if flag.set {
			s += flag.word
		}
	}
	if ct.MarkMask != 0 {
		s += fmt.Sprintf(" mark=%#x/%#x", ct.Mark, ct.MarkMask)
	}
	return s + ")"
}

// packet is the key of the packet of a query, in the first stage.
func packet(q Query) (k megaflow.Key) {
	t := q.Tuple
	k.SetUint(megaflow.InPort, uint64(q.InPort))
	if q.Datapath != nil {
		k.SetUint(megaflow.InPort, uint64(q.Datapath.Port))
	}
	k.SetUint(megaflow.EthSrc, binary.BigEndian.Uint64(append([]byte{0, 0}, q.SrcMAC[:]...)))
	k.SetUint(megaflow.EthDst, binary.BigEndian.Uint64(append([]byte{0, 0}, q.DstMAC[:]...)))
	k.SetUint(megaflow.EthType, 0x0800)
	if t.IsIPv6() {
		k.SetUint(megaflow.EthType, 0x86dd)
	}
	k.SetUint(megaflow.IPProto, uint64(t.Proto))
	k.SetUint(megaflow.IPTTL, 64)
	k.SetUint(megaflow.TPSrc, uint64(t.SrcPort))
	k.SetUint(megaflow.TPDst, uint64(t.DstPort))
	if t.Proto == flows.TCP {
		k.SetUint(megaflow.TCPFlags, 0x10)
	}
	k.SetWide(megaflow.IPSrc, wide(t.Src))
	k.SetWide(megaflow.IPDst, wide(t.Dst))
	return k
}

// tracked adds what conntrack says of the packet.
func tracked(k megaflow.Key, q Query, zone flows.Zone) megaflow.Key {
	k.SetUint(megaflow.CTState, 0x22)
	if q.Reply {
		k.SetUint(megaflow.CTState, 0x2a)
	}
	k.SetUint(megaflow.CTZone, uint64(zone))
	k.SetUint(megaflow.CTMark, uint64(q.Mark))
	k.SetWide(megaflow.CTLabel, q.Labels)
	k.SetUint(megaflow.InPort, 0)
	if q.Datapath == nil { // the original tuple was not told
		return k
	}
	t := q.Tuple
	if q.Reply {
		t = t.Reverse()
	}
	k.SetUint(megaflow.CTIPProto, uint64(t.Proto))
	k.SetUint(megaflow.CTTPSrc, uint64(t.SrcPort))
	k.SetUint(megaflow.CTTPDst, uint64(t.DstPort))
	k.SetWide(megaflow.CTIPSrc, wide(t.Src))
	k.SetWide(megaflow.CTIPDst, wide(t.Dst))
	return k
}

func wide(a netip.Addr) (v [16]byte) {
	b := a.AsSlice()
	copy(v[16-len(b):], b)
	return v
}

func has(m *megaflow.Match, k *megaflow.Key) bool {
	for i := range k {
		if (k[i]^m.Key[i])&m.Mask[i] != 0 {
			return false
		}
	}
	return true
}
