package agent

import (
	"context"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
)

// watchTables tells the log what the tables of the eswitches are believed to hold, at
// most once for each every logEvery, however often that changes.
func (a *Agent) watchTables(ctx context.Context) error {
	ticker := time.NewTicker(logEvery)
	defer ticker.Stop()
	var told map[flows.EswitchID]int
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		var tables []engine.Table
		if a.loop.ask(ctx, func(e *engine.Engine) { tables = e.Tables() }) == nil {
			told = a.tellTables(told, tables)
		}
	}
}

// tellTables returns what it has told.
func (a *Agent) tellTables(before map[flows.EswitchID]int, tables []engine.Table) map[flows.EswitchID]int {
	told := make(map[flows.EswitchID]int, len(tables))
	for _, t := range tables {
		was := before[t.Eswitch]
		told[t.Eswitch] = t.Believed
		log := a.log.With("eswitch", t.Eswitch, "rules", t.Rules, "believed", t.Believed, "before", was, "refused", t.Refused)
		switch {
		case t.Believed == was:
		case t.Believed == 0:
			log.Info("table: no bound is met any more")
		case was == 0 || t.Believed < was:
			log.Info("table: the eswitch is full")
		default:
			log.Info("table: the eswitch holds more than it did")
		}
	}
	return told
}
