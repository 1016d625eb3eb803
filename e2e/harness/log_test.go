package harness

import (
	"maps"
	"testing"
)

func TestParseLogLine(t *testing.T) {
	l, ok := parseLogLine(`time=2026-11-22T03:48:13.884Z level=DEBUG msg="no path" session=50b0 detail="port \"a\" is down" error=<nil>` + "\n")
	want := map[string]string{"session": "50b0", "detail": `port "a" is down`, "error": "<nil>"}
	if !ok || l.Msg != "no path" || !maps.Equal(l.Attrs, want) || l.Time.Nanosecond() != 884e6 {
		t.Errorf("%v %+v", ok, l)
	}
	for _, bad := range []string{"", "panic: no", `time=noon msg=x`} {
		if l, ok := parseLogLine(bad); ok {
			t.Errorf("%q: %+v", bad, l)
		}
	}
}

func TestGrown(t *testing.T) {
	before := map[string]uint64{"stays": 7, "expires": 9, "made anew": 5}
	after := map[string]uint64{"stays": 10, "made anew": 2, "new": 4}
	if n := Grown(before, after); n != 3+2+4 {
		t.Errorf("%d", n)
	}
}
