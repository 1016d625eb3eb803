// Package version says which build a program is.
package version

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// release is set by the linker: -X github.com/flowshunt/flowshunt/pkg/version.release=1.2.3
var release string

// Info describes a build.
type Info struct {
	Version string // release, or what the module system knows, or "devel"
	Commit  string // full hash, with "+dirty" if the tree was changed; empty: not known
	Go      string
}

// Get describes the running program.
func Get() Info {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		build = &debug.BuildInfo{}
	}
	return from(release, build)
}

func from(release string, build *debug.BuildInfo) Info {
	info := Info{Version: release, Go: runtime.Version()}
	if v := build.Main.Version; info.Version == "" && v != "(devel)" {
		info.Version = v
	}
	if info.Version == "" {
		info.Version = "devel"
	}
	dirty := ""
	for _, s := range build.Settings {
		switch {
		case s.Key == "vcs.revision":
			info.Commit = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+dirty"
		}
	}
	if info.Commit != "" {
		info.Commit += dirty
	}
	return info
}

// String returns one line, as "1.2.3 (commit 0123456789ab, go1.26.0)".
func (i Info) String() string {
	if i.Commit == "" {
		return fmt.Sprintf("%s (%s)", i.Version, i.Go)
	}
	return fmt.Sprintf("%s (commit %s, %s)", i.Version, i.Commit, i.Go)
}
