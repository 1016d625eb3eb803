package version

import (
	"runtime/debug"
	"testing"
)

func TestFrom(t *testing.T) {
	vcs := []debug.BuildSetting{{Key: "vcs.modified", Value: "true"}, {Key: "vcs.revision", Value: "0123"}}
	for _, tc := range []struct {
		release, module string
		settings        []debug.BuildSetting
		version, commit string
	}{
		{"", "", nil, "devel", ""},
		{"", "(devel)", vcs, "devel", "0123+dirty"},
		{"", "v1.2.3", vcs[1:], "v1.2.3", "0123"},
		{"1.3.0", "v1.2.3", vcs[:1], "1.3.0", ""},
	} {
		build := &debug.BuildInfo{Main: debug.Module{Version: tc.module}, Settings: tc.settings}
		got := from(tc.release, build)
		if got.Version != tc.version || got.Commit != tc.commit {
			t.Errorf("from(%q, %+v) = %+v, want version %q, commit %q", tc.release, build, got, tc.version, tc.commit)
		}
	}
}

func TestString(t *testing.T) {
	for _, tc := range []struct {
		info Info
		want string
	}{
		{Info{"1.0", "abc", "go1.26.0"}, "1.0 (commit abc, go1.26.0)"},
		{Info{"devel", "", "go1.26.0"}, "devel (go1.26.0)"},
	} {
		if got := tc.info.String(); got != tc.want {
			t.Errorf("%+v: %q, want %q", tc.info, got, tc.want)
		}
	}
}
