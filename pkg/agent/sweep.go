package agent

import (
	"context"
	"errors"

	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/eswitch/flower"
)

// sweepAttempts is how often a sweep is tried: devices come and go under it.
const sweepAttempts = 3

// sweep removes what an earlier agent left.
func (a *Agent) sweep(ctx context.Context) (err error) {
	for range sweepAttempts {
		var n int
		if n, err = a.eswitch.Sweep(ctx); n > 0 {
			a.log.Warn("removed rules that an earlier agent left", "rules", n)
		}
		if err == nil {
			break
		}
	}
	if err = errors.Join(err, a.sweepOthers(ctx)); err != nil {
		a.log.Warn("rules of an earlier agent may be there (flowshuntctl audit tells)", "error", err)
	}
	return nil
}

// sweepAt removes all of ours at another preference, curtains too: these would keep packets
// from our rules.
func sweepAt(ctx context.Context, preference uint16) (n int, err error) {
	driver, err := flower.Open(flower.Config{Preference: preference})
	if err != nil {
		return 0, err
	}
	n, err = eswitch.New(driver, eswitch.Config{}).Flush(ctx)
	return n, errors.Join(err, driver.Close())
}
