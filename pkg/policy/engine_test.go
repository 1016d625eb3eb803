package policy_test

import (
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/policy"
)

// A table, and a change, are what the engine asks.
var (
	_ engine.Policies = (*policy.Table)(nil)
	_                 = func(old, now *policy.Table) engine.PoliciesChanged {
		return engine.PoliciesChanged{Policies: now, Concerns: policy.Diff(old, now).Concerns}
	}
)
