package check

import (
	"bytes"
	"compress/gzip"
	"slices"
	"strings"
	"testing"
)

const osrelease, procVersion = "proc/sys/kernel/osrelease", "proc/version"

func onKernel(texts map[string]string) *node {
	n := &node{root: files(texts)}
	n.kernel = readKernel(n.root)
	n.config = readKernelConfig(n.root, n.kernel.release)
	return n
}

func TestRelease(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		files      map[string]string
	}{
		{"debian", "ok release: 6.1.0-56-amd64, made from 6.1.170", map[string]string{osrelease: "6.1.0-56-amd64\n",
			procVersion: "Linux version 6.1.0-56-amd64 (debian-kernel@lists.debian.org) (gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0, GNU ld (GNU Binutils for Debian) 2.40) #1 SMP PREEMPT_DYNAMIC Debian 6.1.170-1 (2026-05-02)\n"}},
		{"ubuntu", "ok release: 6.8.0-31-generic, made from 6.8.1", map[string]string{osrelease: "6.8.0-31-generic",
			"proc/version_signature": "Ubuntu 6.8.0-31.31-generic 6.8.1"}},
		{"own, by debian's compiler", "ok release: 6.18.44-own", map[string]string{osrelease: "6.18.44-own",
			procVersion: "Linux version 6.18.44-own (a@b) (gcc (Debian 12.2.0-14) 12.2.0, GNU ld) #1 SMP"}},
		{"other", "ok release: 5.14.0-503.el9", map[string]string{osrelease: "5.14.0-503.el9", procVersion: "Linux version"}},
		{"oldest", "ok release: 5.8", map[string]string{osrelease: "5.8"}},
		{"old", "fatal release: 5.4.0-1-amd64, must be 5.8 or later", map[string]string{osrelease: "5.4.0-1-amd64"}},
		{"nonsense", "unknown release: the kernel's release cannot be read", map[string]string{osrelease: "x"}},
	} {
		t.Run(tt.name, func(t *testing.T) { wantLines(t, says(t, onKernel(tt.files), release), tt.want) })
	}
}

func TestBugs(t *testing.T) {
	const broken = " inserts slowly, and may pass over software filters that share a preference with skip_sw ones"
	for release, hit := range map[string]bool{
		"6.9.12": false, "6.10.0": true, "6.11.11": true, "6.12.0": true, "6.12.12": true, "6.12.13": false, "6.12.117": false,
		"6.13.0": true, "6.13.1": true, "6.13.2": false, "6.14.0": false, "6.1.170": false, "7.1.5": false,
	} {
		lines := says(t, onKernel(map[string]string{osrelease: release}), bugs)
		if got := slices.Contains(lines, "warning bug skip-sw: "+release+broken); got != hit {
			t.Errorf("%s: %q", release, lines)
		}
	}
	wantLines(t, says(t, onKernel(map[string]string{osrelease: "7.1.5"}), bugs), "ok bugs: none known in 7.1.5")
}

// TestPeditBug: a release whose series is not known to be mended may have it; that is no
// warning, for rules of ours do not bring it about.
func TestPeditBug(t *testing.T) {
	for release, may := range map[string]bool{
		"6.1.192": true, "6.6.144": true, "6.6.145": false, "6.12.96": true, "6.12.97": false, "6.17.3": true,
		"6.18.39": true, "6.18.40": false, "7.0.9": true, "7.1.4": true, "7.1.5": false, "7.2.0": false,
	} {
		lines := says(t, onKernel(map[string]string{osrelease: release}), bugs)
		got := slices.ContainsFunc(lines, func(l string) bool {
			return strings.HasPrefix(l, "unknown bug act_pedit: "+release+" may have CVE-2026-72338")
		})
		if got != may {
			t.Errorf("%s: %q", release, lines)
		}
	}
}

func TestModules(t *testing.T) {
	const dir = "lib/modules/6.1.0/"
	base := map[string]string{
		osrelease:               "6.1.0",
		"proc/modules":          "openvswitch 180224 2 - Live 0x0\nnf_conntrack 196608 3 openvswitch, Live 0x0\n",
		dir + "modules.builtin": "kernel/net/sched/sch_ingress.ko\n",
		dir + "modules.dep": "kernel/net/sched/cls_flower.ko: \nkernel/net/sched/act_mirred.ko.xz: \nkernel/net/sched/act_gact.ko.zst:\n" +
			"kernel/net/netfilter/nf_conntrack_netlink.ko.gz: kernel/net/netfilter/nf_conntrack.ko.gz\n",
	}
	can := "ok %s: not loaded yet; can be"
	usual := map[string]string{
		"cls_flower": can, "act_mirred": can, "sch_ingress": "ok %s: built into the kernel", "act_gact": can,
		"openvswitch": "ok %s: loaded", "nf_conntrack": "ok %s: loaded", "nf_conntrack_netlink": can,
	}
	locked := " is not loaded, and no module can be any more (kernel.modules_disabled)"
	for _, tt := range []struct {
		name    string
		changes []string
		want    map[string]string // instead of the usual
	}{
		{name: "usual"},
		{"forbidden", []string{"etc/modprobe.d/cis.conf", "# hardening\ninstall cls-flower /bin/true\ninstall dccp /bin/false\nblacklist act_mirred\n"},
			map[string]string{"cls_flower": "fatal %s: is forbidden by /etc/modprobe.d/cis.conf"}},
		{"locked", []string{"proc/sys/kernel/modules_disabled", "1\n"}, map[string]string{
			"cls_flower": "fatal %s:" + locked, "act_mirred": "fatal %s:" + locked, "act_gact": "warning %s:" + locked,
			"nf_conntrack_netlink": "fatal %s:" + locked}},
		{"not part", []string{dir + "modules.dep", "kernel/fs/ext4.ko:\n"}, map[string]string{
			"cls_flower": "fatal %s: is not part of this kernel", "act_mirred": "fatal %s: is not part of this kernel",
			"act_gact": "warning %s: is not part of this kernel", "nf_conntrack_netlink": "fatal %s: is not part of this kernel"}},
		{"package missing", []string{dir + "modules.dep", "kernel/net/sched/act_mirred.ko:\nkernel/net/sched/act_gact.ko:\n",
			"boot/config-6.1.0", "CONFIG_NET_CLS_FLOWER=m\n# CONFIG_NF_CT_NETLINK is not set\n"}, map[string]string{
			"cls_flower":           "fatal %s: is a module that is not installed",
			"nf_conntrack_netlink": "fatal %s: is not part of this kernel"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var want []string
			for _, m := range wantedModules {
				text := usual[m.name]
				if other, there := tt.want[m.name]; there {
					text = other
				}
				want = append(want, strings.ReplaceAll(text, "%s", m.name))
			}
			wantLines(t, says(t, onKernel(with(base, tt.changes...)), modules), want...)
		})
	}
}

func TestBuiltIn(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte("CONFIG_NET_CLS_FLOWER=y\nCONFIG_NET_TC_SKB_EXT=y\n"))
	z.Close()
	n := onKernel(map[string]string{osrelease: "6.1.0", "proc/config.gz": packed.String()})
	said := says(t, n, modules)
	if said[0] != "ok cls_flower: built into the kernel" || said[1] != "fatal act_mirred: is not part of this kernel" {
		t.Error(said)
	}
	wantLines(t, says(t, n, skbExtension), "ok NET_TC_SKB_EXT: yes; Flowshunt does not need it")
	n.config = map[string]string{"NET": "y"}
	wantLines(t, says(t, n, skbExtension), "ok NET_TC_SKB_EXT: no: OVS's own hw-offload could offload no flow with ct; Flowshunt does not need it")
}
