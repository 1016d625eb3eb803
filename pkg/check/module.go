package check

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// module is a part of the kernel that may be a module.
type module struct {
	name   string
	option string // of the kernel's configuration
	need   string // what for
	spare  bool   // works without it
}

var wantedModules = []module{
	{name: "cls_flower", option: "NET_CLS_FLOWER", need: "rules are flower filters"},
	{name: "act_mirred", option: "NET_ACT_MIRRED", need: "rules redirect by it"},
	{name: "sch_ingress", option: "NET_SCH_INGRESS", need: "it has the clsact qdisc, on which rules hang"},
	{name: "act_gact", option: "NET_ACT_GACT", need: "rules that pass packets on to the slow path (TTL of routed paths) will need it; nothing does today", spare: true},
	{name: "openvswitch", option: "OPENVSWITCH", need: "only OVS's kernel datapath can be bypassed"},
	{name: "nf_conntrack", option: "NF_CONNTRACK", need: "connections are known from it"},
	{name: "nf_conntrack_netlink", option: "NF_CT_NETLINK", need: "conntrack is read through it"},
}

// modules says of each whether it is there or would be: nothing is loaded.
func modules(_ context.Context, n *node) []Line {
	found := readModules(n.root, n.kernel.release)
	var lines []Line
	for _, m := range wantedModules {
		lines = append(lines, found.line(m, n.config))
	}
	return lines
}

// moduleSet is what the file system says of modules.
type moduleSet struct {
	loaded, builtin, present map[string]bool
	forbidden                map[string]string // by an "install" line of modprobe.d: its file
	listed                   bool              // modules.dep was there
	locked                   bool              // no module can be loaded any more
	release                  string
}

var koFile = regexp.MustCompile(`([^/]+)\.ko(\.gz|\.xz|\.zst)?$`)

func readModules(root fs.FS, release string) moduleSet {
	s := moduleSet{loaded: map[string]bool{}, builtin: map[string]bool{}, present: map[string]bool{}, release: release}
	dir := "lib/modules/" + release
	_ = eachLine(root, "proc/modules", func(line string) {
		name, _, _ := strings.Cut(line, " ")
		s.loaded[name] = true
	})
	_ = eachLine(root, dir+"/modules.builtin", func(line string) { s.builtin[moduleName(line)] = true })
	s.listed = eachLine(root, dir+"/modules.dep", func(line string) {
		file, _, _ := strings.Cut(line, ":")
		s.present[moduleName(file)] = true
	}) == nil
	locked, err := readNumber(root, "proc/sys/kernel/modules_disabled")
	s.locked = err == nil && locked != 0
	s.forbidden = readForbidden(root)
	return s
}

func moduleName(file string) string {
	m := koFile.FindStringSubmatch(path.Base(file))
	if m == nil {
		return ""
	}
	return strings.ReplaceAll(m[1], "-", "_")
}

func eachLine(root fs.FS, name string, fn func(string)) error {
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxFile)
	for lines.Scan() {
		fn(lines.Text())
	}
	return lines.Err()
}

// readForbidden finds modules whose loading modprobe.d(5) replaces by a program that
// does nothing: the usual way of hardening guides. "blacklist" does not keep the kernel
// from loading a module by its name.
func readForbidden(root fs.FS) map[string]string {
	forbidden := make(map[string]string)
	for _, dir := range []string{"lib/modprobe.d", "usr/lib/modprobe.d", "run/modprobe.d", "etc/modprobe.d"} {
		files, _ := fs.Glob(root, dir+"/*.conf")
		for _, file := range files {
			_ = eachLine(root, file, func(line string) {
				f := strings.Fields(line)
				if len(f) >= 3 && f[0] == "install" && (path.Base(f[2]) == "true" || path.Base(f[2]) == "false") {
					forbidden[strings.ReplaceAll(f[1], "-", "_")] = "/" + file
				}
			})
		}
	}
	return forbidden
}

func (s *moduleSet) line(m module, config map[string]string) Line {
	switch {
	case s.loaded[m.name]:
		return ok(m.name, "loaded")
	case s.builtin[m.name], config[m.option] == "y":
		return ok(m.name, "built into the kernel")
	case s.forbidden[m.name] != "":
		return m.missing("is forbidden by %s", s.forbidden[m.name]).fix("remove its line 'install "+m.name+" ...'", "modprobe "+m.name)
	case s.present[m.name] && s.locked:
		return m.missing("is not loaded, and no module can be any more (kernel.modules_disabled)").
			fix("echo "+m.name+" >>/etc/modules-load.d/flowshunt.conf", "reboot")
	case s.present[m.name]:
		return ok(m.name, "not loaded yet; can be")
	case config[m.option] == "m":
		return m.missing("is a module that is not installed").
			fix("install your distribution's package of further modules for " + s.release + " (linux-modules-extra, kernel-modules-extra)")
	case config != nil, s.listed:
		return m.missing("is not part of this kernel").fix("boot a kernel with CONFIG_" + m.option)
	}
	return unknown(m.name, errors.Join(fmt.Errorf("neither loaded nor listed in /lib/modules/%s, and the kernel does not tell its configuration", s.release)))
}

func (m module) missing(format string, args ...any) Line {
	if m.spare {
		return warning(m.name, format, args...).why("%s", m.need)
	}
	return fatal(m.name, format, args...).why("%s", m.need)
}

// skbExtension is about OVS's own offload, with which ours is compared: without it OVS
// offloads no flow that recirculates, hence none with ct() (lib/netdev-offload-tc.c:
// "recirc_id sharing not supported"; measured with Debian's kernels).
func skbExtension(_ context.Context, n *node) []Line {
	const name = "NET_TC_SKB_EXT"
	switch {
	case n.config == nil:
		return []Line{ok(name, "not known: the kernel does not tell its configuration; Flowshunt does not need it")}
	case n.config[name] == "y":
		return []Line{ok(name, "yes; Flowshunt does not need it")}
	}
	return []Line{ok(name, "no: OVS's own hw-offload could offload no flow with ct; Flowshunt does not need it")}
}
