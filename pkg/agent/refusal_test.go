package agent

import (
	"errors"
	"fmt"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
)

// TestRefusals: each failure has its reason, and only those that somebody should see to
// are told as trouble.
func TestRefusals(t *testing.T) {
	for name, tt := range map[string]struct {
		err     error
		reason  flows.Reason
		trouble bool
	}{
		"full":      {eswitch.ErrFull, flows.TableFull, false},
		"no words":  {&eswitch.RuleError{Err: eswitch.ErrRefused}, flows.Refused, false},
		"neither":   {fmt.Errorf("%w; %w", eswitch.ErrNotOffloaded, eswitch.ErrRefused), flows.Refused, false},
		"unguarded": {&eswitch.RuleError{Err: fmt.Errorf("guard: %w", eswitch.ErrUnguarded)}, flows.InstallFailed, false},
		"left":      {fmt.Errorf("%w; %w", eswitch.ErrUnguarded, eswitch.ErrUnknown), flows.InstallFailed, true},
		"driver":    {eswitch.ErrNotOffloaded, flows.Refused, true},
		"other":     {errors.New("no"), flows.InstallFailed, true},
	} {
		f := &fakeEswitch{refuse: map[flows.SessionID]error{1: tt.err}}
		r := testRules(f)
		r.install(install(1))
		for _, e := range runRules(t, r) {
			if got := e.(engine.Installed).Reason; got != tt.reason {
				t.Errorf("%s: reason %s, want %s", name, got, tt.reason)
			}
		}
		if told := r.health.get().LastError != ""; told != tt.trouble {
			t.Errorf("%s: told as trouble %t", name, told)
		}
	}
}
