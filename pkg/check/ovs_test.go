package check

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/ovsdb"
	"github.com/flowshunt/flowshunt/pkg/tc/tctest"
	"github.com/flowshunt/flowshunt/pkg/unixctl"
	"github.com/flowshunt/flowshunt/pkg/unixctl/ovstest"
)

// onOVS is what is read of a real Open vSwitch.
func onOVS(t *testing.T, o *ovstest.OVS) *node {
	t.Helper()
	n := &node{root: os.DirFS("/")}
	n.OVSDB, n.OVSRundir, n.Preference = o.Database, o.Rundir, 0x4000
	n.vswitchd = &unixctl.Client{Rundir: o.Rundir, Timeout: patience}
	n.ovs, n.silent = n.vswitchd.Call(t.Context(), "version")
	n.inventory = readInventory(t.Context(), o.Database)
	n.devices, n.devicesErr = readDevices()
	return n
}

// said checks one line of a look, by the beginning of what is said.
func said(t *testing.T, n *node, l look, want string) {
	t.Helper()
	got := says(t, n, l)
	for _, line := range got {
		if strings.HasPrefix(line, want) {
			return
		}
	}
	t.Errorf("got %q, want %q", got, want)
}

// TestOVS changes one setting after the other on a real Open vSwitch.
func TestOVS(t *testing.T) {
	o, _ := ovstest.StartAlone(t)
	o.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "fail_mode=secure")
	tctest.Veth(t, "chk-a", "chk-b")
	o.Vsctl("add-port", "br0", "chk-a")

	n := onOVS(t, o)
	said(t, n, database, "ok database: "+o.Database+", 1 bridge, 2 ports")
	said(t, n, daemon, "ok ovs-vswitchd: ")
	said(t, n, hwOffload, "ok hw-offload: false")
	said(t, n, restoreWait, "ok flow-restore-wait: false")
	said(t, n, upcalls, "ok upcalls: ")
	said(t, n, maxIdle, "ok max-idle: 10000 ms, the default")
	said(t, n, bridges, "fatal bridges: none on the kernel's datapath: br0 (netdev)")
	said(t, n, openFlow, "ok flow monitor: 1 bridge tells its changes")
	said(t, n, ageing, "ok mac ageing: br0 5m0s")
	said(t, n, refusedPorts, "ok ports: 0 of 2 can be used")
	silent := *n
	silent.inventory = inventory{&ovsdb.Snapshot{Bridges: append(slices.Clone(n.Bridges), ovsdb.Bridge{Name: "gone"})}, nil}
	said(t, &silent, openFlow, "warning flow monitor: 1 bridge tells no changes: gone (protocols default): ")
	if l := openFlow(t.Context(), &silent); !slices.Equal(l[0].Fix, []string{"ovs-ofctl show gone"}) {
		t.Errorf("%q would take versions from a bridge that has all", l[0].Fix)
	}
	if got, want := permit("br0", []string{"OpenFlow12"}), "ovs-vsctl add bridge br0 protocols OpenFlow13"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if count, known := n.handlers(); !known || count == 0 {
		t.Errorf("%d handlers, known: %v", count, known)
	}

	for _, tt := range []struct {
		name, set, undo string
		look            look
		want            string
	}{
		{"hw-offload", "set Open_vSwitch . other_config:hw-offload=true", "remove Open_vSwitch . other_config hw-offload",
			hwOffload, "fatal hw-offload: other_config:hw-offload=true"},
		{"tc-policy", "set Open_vSwitch . other_config:tc-policy=skip_hw", "remove Open_vSwitch . other_config tc-policy",
			hwOffload, "ok hw-offload: false; tc-policy=skip_hw has no effect"},
		{"flow-restore-wait", "set Open_vSwitch . other_config:flow-restore-wait=true", "remove Open_vSwitch . other_config flow-restore-wait",
			restoreWait, "warning flow-restore-wait: true"},
		{"max-idle", "set Open_vSwitch . other_config:max-idle=1500", "remove Open_vSwitch . other_config max-idle",
			maxIdle, "warning max-idle: 1500 ms"},
		{"max-idle that is long", "set Open_vSwitch . other_config:max-idle=30000", "remove Open_vSwitch . other_config max-idle",
			maxIdle, "ok max-idle: 30000 ms"},
		{"max-idle in words", "set Open_vSwitch . other_config:max-idle=long", "remove Open_vSwitch . other_config max-idle",
			maxIdle, "warning max-idle: other_config:max-idle=long is no number"},
		{"ageing", "set bridge br0 other_config:mac-aging-time=20", "remove bridge br0 other_config mac-aging-time",
			ageing, "warning mac ageing: br0 20s"},
		{"OpenFlow 1.0", "set bridge br0 protocols=OpenFlow10", "clear bridge br0 protocols", openFlow, "ok flow monitor: 1 bridge"},
		{"policing", "set interface chk-a ingress_policing_rate=1000", "set interface chk-a ingress_policing_rate=0",
			refusedPorts, "warning ports: 0 of 2 can be used; 1 with policing"},
		{"excluded", "set interface chk-a external_ids:flowshunt=off", "remove interface chk-a external_ids flowshunt",
			refusedPorts, "ok ports: 0 of 2 can be used; 1 excluded (external_ids:flowshunt=off)"},
		{"chosen", "set interface chk-a external_ids:flowshunt=on", "remove interface chk-a external_ids flowshunt",
			refusedPorts, "ok ports: 0 of 2 can be used; 1 chosen by external_ids:flowshunt=on"},
		{"guarded", "set interface chk-a external_ids:iface-id=x", "remove interface chk-a external_ids iface-id",
			guarded, "warning security groups: 1 port has them (iface-id), and Open vSwitch names no Southbound database of OVN"},
		{"no wish", "set interface chk-a external_ids:flowshunt=perhaps", "remove interface chk-a external_ids flowshunt",
			notUnderstood, `warning not understood: chk-a: external_ids:flowshunt: "perhaps" is neither "on" nor "off", taken for off`},
		{"sampling", "-- --id=@s create sFlow targets=\"127.0.0.1:9\" -- set bridge br0 sflow=@s", "clear bridge br0 sflow",
			refusedPorts, "warning ports: 0 of 2 can be used; 2 sampled (sFlow, NetFlow, IPFIX)"},
		{"mirror", "-- --id=@p get port chk-a -- --id=@m create mirror name=m select_all=true output_port=@p -- set bridge br0 mirrors=@m",
			"clear bridge br0 mirrors", refusedPorts, "warning ports: 0 of 2 can be used; 2 mirrored"},
		{"QoS", "-- --id=@q create qos type=linux-htb -- set port chk-a qos=@q", "clear port chk-a qos",
			refusedPorts, "warning ports: 0 of 2 can be used; 1 with QoS"},
		{"tunnel", "add-port br0 chk-v -- set interface chk-v type=vxlan options:remote_ip=192.0.2.9", "del-port chk-v",
			refusedPorts, "ok ports: 0 of 3 can be used; 1 of a type that rules cannot use"},
		{"device that is not there", "--no-wait add-port br0 chk-none", "del-port chk-none", database, "ok database: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o.Vsctl(strings.Fields(tt.set)...)
			said(t, onOVS(t, o), tt.look, tt.want)
			o.Vsctl(strings.Fields(tt.undo)...)
			if got := says(t, onOVS(t, o), tt.look); len(got) > 0 && strings.HasPrefix(got[0], tt.want) && !strings.HasPrefix(tt.want, "ok") {
				t.Errorf("after %q still %q", tt.undo, got)
			}
		})
	}
}

func TestOVSAway(t *testing.T) {
	n := &node{ovs: "", silent: unixctl.ErrNotRunning}
	n.inventory = inventory{&ovsdb.Snapshot{}, errors.New("connect: no such file")}
	wantLines(t, says(t, n, daemon), "fatal ovs-vswitchd: is not running")
	wantLines(t, says(t, n, upcalls), "unknown upcalls: ovs-vswitchd does not answer")
	wantLines(t, says(t, n, database), "fatal database: connect: no such file")
	n.inventory.err, n.silent = fs.ErrPermission, unixctl.ErrPermission
	for _, l := range []look{database, daemon, hwOffload, upcalls, openFlow, refusedPorts, ingressQdiscs} {
		if lines := l(t.Context(), n); lines[0].Status != Unknown || !lines[0].Root {
			t.Errorf("%+v does not say that root is wanted", lines[0])
		}
	}
}

func TestDaemonVersions(t *testing.T) {
	for text, want := range map[string]string{
		"ovs-vswitchd (Open vSwitch) 3.1.0":    "ok ovs-vswitchd: 3.1.0",
		"ovs-vswitchd (Open vSwitch) 2.17.9\n": "ok ovs-vswitchd: 2.17.9",
		"ovs-vswitchd (Open vSwitch) 2.13.8":   "warning ovs-vswitchd: 2.13.8, never run with Flowshunt",
		"ovs-vswitchd (Open vSwitch) 4.0.0":    "ok ovs-vswitchd: 4.0.0, newer than any that Flowshunt was written for",
		"something\nelse":                      "warning ovs-vswitchd: something else",
	} {
		wantLines(t, says(t, &node{ovs: text}, daemon), want)
	}
	wantLines(t, says(t, &node{silent: errors.New("no reply\nat all")}, daemon), "fatal ovs-vswitchd: does not answer (no reply at all)")
}

// A deaf ovs-vswitchd is a fault that only a start early after the boot makes.
func TestDeaf(t *testing.T) {
	threads := func(handlers string) map[string]string {
		return map[string]string{"run/ovs/ovs-vswitchd.pid": "7\n", "proc/7/task/7/comm": "ovs-vswitchd\n", "proc/7/task/8/comm": handlers}
	}
	for _, tt := range []struct {
		name, reply, handler, want string
	}{
		{"well", "system@ovs-system:\n  lookups: hit:10 missed:20000 lost:199\n  flows: 3\n", "handler1\n", "ok upcalls: 20000 missed, 199 lost, 1 handler"},
		{"restarted", "system@ovs-system:\n  lookups: hit:10 missed:9 lost:9\n", "handler1\n", "ok upcalls: 9 missed, 9 lost, 1 handler"},
		{"some lost", "system@ovs-system:\n  lookups: hit:10 missed:20000 lost:200\n", "handler1\n", "warning upcalls: 20000 missed, 200 lost, 1 handler"},
		{"all lost", "system@ovs-system:\n  lookups: hit:0 missed:13 lost:13\n", "handler1\n", "fatal upcalls: 13 missed, 13 lost, 1 handler: ovs-vswitchd is deaf"},
		{"pid of a container", "system@ovs-system:\n  lookups: hit:0 missed:0 lost:0\n", "elsewhere", "ok upcalls: 0 missed, 0 lost"},
		{"no handler yet no packet", "system@ovs-system:\n  lookups: hit:0 missed:0 lost:0\n", "revalidator9\n", "fatal upcalls: 0 missed, 0 lost, 0 handlers: ovs-vswitchd is deaf"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			texts := threads(tt.handler)
			if tt.handler == "elsewhere" {
				texts["proc/7/task/7/comm"] = "rcu_sched\n"
			}
			n := &node{root: files(texts), vswitchd: serve(t, tt.reply)}
			n.OVSRundir = "/run/ovs"
			n.inventory = inventory{&ovsdb.Snapshot{Bridges: []ovsdb.Bridge{{Name: "br0"}}}, nil}
			wantLines(t, says(t, n, upcalls), tt.want)
		})
	}
}

func TestBridgesOfTheKernel(t *testing.T) {
	n := &node{}
	set := func(types ...string) {
		s := &ovsdb.Snapshot{}
		for i, kind := range types {
			s.Bridges = append(s.Bridges, ovsdb.Bridge{Name: string(rune('a' + i)), DatapathType: kind, MACAging: time.Minute})
		}
		n.inventory = inventory{s, nil}
	}
	set()
	wantLines(t, says(t, n, bridges), "warning bridges: there is none")
	set("system", "system")
	wantLines(t, says(t, n, bridges), "ok bridges: a, b")
	set("system", "netdev")
	wantLines(t, says(t, n, bridges), "warning bridges: a; not on the kernel's datapath: b (netdev)")
}

func TestParseColumns(t *testing.T) {
	for raw, want := range map[string]map[string]string{
		`["map",[["a","1"],["b","2"]]]`: {"a": "1", "b": "2"},
		`["map",[]]`:                    {},
		`["map",[["a"]]]`:               {"a": ""},
		`"x"`:                           {},
		`[[],"map"]`:                    {},
		``:                              {},
	} {
		if got := parseMap(json.RawMessage(raw)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", raw, got, want)
		}
	}
	for raw, want := range map[string][]string{
		`"OpenFlow10"`: {"OpenFlow10"}, `["set",["a","b"]]`: {"a", "b"}, `["set",[]]`: {}, `7`: nil, ``: nil,
	} {
		if got := parseSet(json.RawMessage(raw)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", raw, got, want)
		}
	}
}
