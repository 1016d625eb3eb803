package check

import (
	"io/fs"
	"strconv"
	"strings"
)

// process is one that this namespace of processes shows.
type process struct {
	pid   string
	name  string // of the program or, with an interpreter, of the script
	netns string // "net:[4026531840]"; empty: not told
}

const maxProcesses = 100_000

// readProcesses lists the processes; those that end meanwhile are left out.
func readProcesses(root fs.FS) (list []process) {
	entries, _ := fs.ReadDir(root, "proc")
	for _, e := range entries {
		if _, err := strconv.ParseUint(e.Name(), 10, 31); err != nil || len(list) == maxProcesses {
			continue
		}
		dir := "proc/" + e.Name()
		text, err := read(root, dir+"/cmdline")
		if err != nil || text == "" {
			continue
		}
		netns, _ := fs.ReadLink(root, dir+"/ns/net")
		list = append(list, process{pid: e.Name(), name: programName(text), netns: netns})
	}
	return list
}

// programName is the last part of the first argument, or of the second where the first
// is an interpreter. Neutron's agents write all of it into the first: their name, and the
// command line in parentheses (setproctitle).
func programName(cmdline string) string {
	args := strings.Split(cmdline, "\x00")
	base := func(s string) string { return s[strings.LastIndexByte(s, '/')+1:] }
	first, _, _ := strings.Cut(args[0], " (")
	name := strings.TrimSuffix(base(first), ":")
	if strings.HasPrefix(name, "python") && len(args) > 1 {
		name = base(args[1])
	}
	return name
}

// named returns the processes of that name in our network namespace, as far as that
// is told.
func (n *node) named(name string) (list []process) {
	own, _ := fs.ReadLink(n.root, "proc/thread-self/ns/net")
	for _, p := range n.processes {
		if p.name == name && (own == "" || p.netns == "" || p.netns == own) {
			list = append(list, p)
		}
	}
	return list
}

// threads returns the names of the threads of a process.
func (n *node) threads(pid string) (names []string) {
	dir := "proc/" + pid + "/task"
	entries, _ := fs.ReadDir(n.root, dir)
	for _, e := range entries {
		if comm, err := read(n.root, dir+"/"+e.Name()+"/comm"); err == nil {
			names = append(names, comm)
		}
	}
	return names
}
