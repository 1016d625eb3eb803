package check

import (
	"testing"

	"github.com/flowshunt/flowshunt/ovsdb"
)

const allCaps = "Name:\tx\nCapEff:\t000001ffffffffff\n"

func onProcesses(texts map[string]string) *node {
	n := &node{root: files(texts)}
	n.inventory = inventory{&ovsdb.Snapshot{}, nil}
	n.processes = readProcesses(n.root)
	return n
}

func TestPrivileges(t *testing.T) {
	agent := map[string]string{"proc/70/cmdline": "/usr/sbin/flowshuntd\x00--mode=enforce\x00", "proc/70/ns/net": "-> net:[1]",
		"proc/thread-self/ns/net": "-> net:[1]", "proc/self/status": "CapEff:\t0000000000000000\n", "proc/70/status": allCaps}
	for _, tt := range []struct {
		name, want string
		files      map[string]string
	}{
		{"root", "ok capabilities: this process has all that are needed", map[string]string{"proc/self/status": allCaps}},
		{"nobody", "unknown capabilities: this process lacks CAP_NET_ADMIN, CAP_NET_RAW, CAP_DAC_OVERRIDE, CAP_CHOWN",
			map[string]string{"proc/self/status": "CapEff:\t0000000000000000\n"}},
		{"agent", "ok capabilities: the agent has all that are needed", agent},
		{"agent elsewhere", "unknown capabilities: this process lacks CAP_NET_ADMIN, CAP_NET_RAW, CAP_DAC_OVERRIDE, CAP_CHOWN",
			with(agent, "proc/70/ns/net", "-> net:[2]")},
		{"agent without NET_RAW", "fatal capabilities: the agent lacks CAP_NET_RAW", with(agent, "proc/70/status", "CapEff:\t0000000000001003\n")},
		{"agent without CHOWN", "warning capabilities: the agent lacks CAP_CHOWN", with(agent, "proc/70/status", "CapEff:\t0000000000003002\n")},
		{"nonsense", "unknown capabilities: /proc/self/status does not tell them", map[string]string{"proc/self/status": "x"}},
	} {
		t.Run(tt.name, func(t *testing.T) { wantLines(t, says(t, onProcesses(tt.files), privileges), tt.want) })
	}
}

func TestLimits(t *testing.T) {
	limits := func(n string) map[string]string {
		return map[string]string{"proc/self/limits": "Limit                     Soft Limit           Hard Limit           Units\n" +
			"Max open files            " + n + "                 1048576              files\nMax locked memory         8388608\n"}
	}
	wantLines(t, says(t, onProcesses(limits("1024")), openFiles), "ok open files: this process may open 1024")
	wantLines(t, says(t, onProcesses(limits("unlimited")), openFiles), "ok open files: this process may open unlimited")
	n := onProcesses(limits("1024"))
	n.Ports = make([]ovsdb.Port, 1000)
	wantLines(t, says(t, n, openFiles), "warning open files: this process may open 1024")

	wantLines(t, says(t, onProcesses(nil), receiveBuffers), "ok receive buffers: net.core.rmem_max is that of the initial network namespace")
	buffers := map[string]string{"proc/sys/net/core/rmem_max": "212992\n", "proc/self/uid_map": "         0          0 4294967295\n"}
	wantLines(t, says(t, onProcesses(buffers), receiveBuffers), "ok receive buffers: net.core.rmem_max is 212992; with CAP_NET_ADMIN it does not matter")
	buffers["proc/self/uid_map"] = "0 100000 65536"
	wantLines(t, says(t, onProcesses(buffers), receiveBuffers), "warning receive buffers: net.core.rmem_max is 212992")
	buffers["proc/sys/net/core/rmem_max"] = "33554432"
	wantLines(t, says(t, onProcesses(buffers), receiveBuffers), "ok receive buffers: net.core.rmem_max is 33554432")
}

func TestClockAndLoad(t *testing.T) {
	const file = "sys/devices/system/clocksource/clocksource0/current_clocksource"
	for source, want := range map[string]string{"tsc": "ok", "kvm-clock": "ok", "arch_sys_counter": "ok", "hpet": "warning", "acpi_pm": "warning"} {
		wantLines(t, says(t, onProcesses(map[string]string{file: source + "\n"}), clock), want+" clock: "+source)
	}
	n := onProcesses(map[string]string{"proc/loadavg": "1000.25 2 3 1/2 3\n"})
	if got := says(t, n, processors); got[0][:len("warning processors: ")] != "warning processors: " {
		t.Error(got)
	}
}

func TestRivals(t *testing.T) {
	base := map[string]string{
		"proc/thread-self/ns/net": "-> net:[1]",
		"proc/10/cmdline":         "/usr/sbin/flowshuntd\x00", "proc/10/ns/net": "-> net:[1]",
		"proc/11/cmdline": "/bin/flowshuntd\x00", "proc/11/ns/net": "-> net:[2]", // of another namespace
		"proc/12/cmdline": "", "proc/uptime": "1 2", // a kernel thread; no process
	}
	wantLines(t, says(t, onProcesses(base), rivals), "ok cms: neither ovn-controller nor neutron-openvswitch-agent runs here")
	wantLines(t, says(t, onProcesses(with(base, "proc/11/ns/net", "-> net:[1]")), rivals),
		"fatal agents: 2 run in this network namespace: processes 10, 11",
		"ok cms: neither ovn-controller nor neutron-openvswitch-agent runs here")
	cms := with(base, "proc/20/cmdline", "ovn-controller\x00unix:/x\x00")
	wantLines(t, says(t, onProcesses(cms), rivals), "ok cms: ovn-controller")
	cms["proc/21/cmdline"] = "/usr/bin/python3\x00/usr/bin/neutron-openvswitch-agent\x00--config-file\x00"
	wantLines(t, says(t, onProcesses(cms), rivals), "warning cms: ovn-controller and neutron-openvswitch-agent both run")
	cms["proc/21/cmdline"] = "neutron-openvswitch-agent (/usr/bin/python3 /usr/bin/neutron-openvswitch-agent --config-file=/etc/neutron/neutron.conf)\x00\x00"
	wantLines(t, says(t, onProcesses(cms), rivals), "warning cms: ovn-controller and neutron-openvswitch-agent both run")
}

func TestUnit(t *testing.T) {
	const text = "[Service]\nExecStopPost=/bin/sh -c 'flowshuntctl flush'\n"
	base := map[string]string{"run/systemd/system/.x": "", "lib/systemd/system/flowshuntd.service": text,
		"etc/systemd/system/multi-user.target.wants/flowshuntd.service": text}
	for _, tt := range []struct {
		want    string
		changes []string
	}{
		{"ok unit: /lib/systemd/system/flowshuntd.service, enabled", nil},
		{"ok unit: systemd does not run here", []string{"run/systemd/system/.x", "none"}},
		{"warning unit: flowshuntd.service is not installed", []string{"lib/systemd/system/flowshuntd.service", "none"}},
		{"warning unit: /lib/systemd/system/flowshuntd.service is not enabled", []string{"etc/systemd/system/multi-user.target.wants/flowshuntd.service", "none"}},
		{"warning unit: /etc/systemd/system/flowshuntd.service does not flush (ExecStopPost)", []string{"etc/systemd/system/flowshuntd.service", "[Service]\n"}},
	} {
		wantLines(t, says(t, onProcesses(with(base, tt.changes...)), unit), tt.want)
	}
}
