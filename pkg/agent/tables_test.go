package agent

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/flows/engine"
)

func TestTellTables(t *testing.T) {
	var out bytes.Buffer
	a := &Agent{log: slog.New(slog.NewTextHandler(&out, nil))}
	told := a.tellTables(nil, []engine.Table{{Rules: 7}, {Eswitch: "a"}})
	for _, step := range []struct {
		believed int
		want     string
	}{
		{0, ""},
		{1000, "is full"},
		{1000, ""},
		{900, "is full"},
		{1004, "holds more"},
		{0, "no bound"},
	} {
		out.Reset()
		told = a.tellTables(told, []engine.Table{{}, {Eswitch: "a", Believed: step.believed}})
		switch got := out.String(); {
		case step.want == "" && got != "":
			t.Errorf("believed %d: said %q", step.believed, got)
		case !strings.Contains(got, step.want) || strings.Count(got, "\n") > 1:
			t.Errorf("believed %d: said %q, want %q", step.believed, got, step.want)
		}
	}
	if told = a.tellTables(told, nil); len(told) > 0 {
		t.Errorf("remembers %v", told)
	}
}
