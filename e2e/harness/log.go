package harness

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// LogLine is a line of an agent's log, as slog's TextHandler writes it. Its time
// is the agent's own, so that a slow test measures a quick agent.
type LogLine struct {
	Time  time.Time
	Msg   string
	Attrs map[string]string // without time, level and msg
}

// Log is what the agent has logged so far.
func (a *Agent) Log() []LogLine {
	var lines []LogLine
	for text := range strings.Lines(a.Output()) {
		if l, ok := parseLogLine(text); ok {
			lines = append(lines, l)
		}
	}
	return lines
}

// Logged waits for a line with this message and with these attributes, given as
// key, value, key, value; it returns the first.
func (a *Agent) Logged(t testing.TB, limit time.Duration, msg string, attrs ...string) LogLine {
	t.Helper()
	var found LogLine
	Within(t, limit, fmt.Sprintf("flowshuntd logs %q %v", msg, attrs), func() error {
		for _, l := range a.Log() {
			if l.Msg == msg && l.has(attrs) {
				found = l
				return nil
			}
		}
		return fmt.Errorf("its output:\n%s", tail(a.Output()))
	})
	return found
}

func (l LogLine) has(attrs []string) bool {
	for i := 0; i+1 < len(attrs); i += 2 {
		if l.Attrs[attrs[i]] != attrs[i+1] {
			return false
		}
	}
	return true
}

// parseLogLine reads key=value pairs, values quoted where they need it.
func parseLogLine(s string) (LogLine, bool) {
	l := LogLine{Attrs: make(map[string]string)}
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimLeft(s, " ") {
		key, rest, ok := strings.Cut(s, "=")
		if !ok {
			return l, false
		}
		value := rest
		if quoted, err := strconv.QuotedPrefix(rest); err == nil {
			value, _ = strconv.Unquote(quoted)
			rest = rest[len(quoted):]
		} else {
			value, rest, _ = strings.Cut(rest, " ")
		}
		l.Attrs[key], s = value, rest
	}
	l.Msg = l.Attrs["msg"]
	at, err := time.Parse(time.RFC3339Nano, l.Attrs["time"])
	if err != nil {
		return l, false
	}
	l.Time = at
	for _, key := range []string{"time", "level", "msg"} {
		delete(l.Attrs, key)
	}
	return l, true
}
