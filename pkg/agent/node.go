package agent

import (
	"context"
	"os"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/ovsdb/flowshunt"
	"github.com/flowshunt/flowshunt/pkg/control"
	policydb "github.com/flowshunt/flowshunt/pkg/policy/ovsdb"
	"github.com/flowshunt/flowshunt/pkg/version"
)

// node returns what the policy database tells of this agent.
func (a *Agent) node(ctx context.Context) policydb.Node {
	host, _ := os.Hostname()
	n := policydb.Node{Hostname: host, Version: version.Get().String(), Mode: a.mode(), Started: a.began}
	n.Health, n.LastError = a.condition()
	var tables []engine.Table
	var inHW map[flows.EswitchID]int
	if a.loop.ask(ctx, func(e *engine.Engine) { tables, inHW = e.Tables(), e.InHardware() }) != nil {
		return n
	}
	ports := make(map[flows.EswitchID]int)
	if t := a.ports.now.Load(); t != nil {
		for i := range t.list {
			ports[t.list[i].hardware.eswitch]++
		}
	}
	for _, t := range tables {
		row := flowshunt.Eswitch{
			Name: string(t.Eswitch), Ports: ports[t.Eswitch], Used: t.Rules, InHardware: inHW[t.Eswitch],
			InsertRate: t.PerSecond, RateBudget: a.cfg.Engine.InsertRate, Health: "ok",
		}
		if t.Believed > 0 {
			row.Capacity, row.Health = &t.Believed, "full"
		}
		if len(t.Shut) > 0 {
			row.LastError = t.Shut[0]
		}
		n.Eswitches = append(n.Eswitches, row)
	}
	return n
}

// condition says how the parts of the agent are, the worst first, and the latest error.
func (a *Agent) condition() (health, lastError string) {
	health = "ok"
	var latest control.Component
	for _, part := range a.parts {
		c := part.get()
		if c.Health == control.HealthFailed {
			health = "failed: " + c.Name
		}
		if c.LastErrorAt.After(latest.LastErrorAt) {
			latest = c
		}
	}
	if health == "ok" && !a.readiness.reached.Load() {
		health = "starting"
	}
	if latest.LastError != "" {
		lastError = latest.Name + ": " + latest.LastError
	}
	return health, lastError
}
