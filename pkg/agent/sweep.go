package agent

import (
	"context"
	"errors"

	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/eswitch/flower"
)

// sweepAttempts is how often a sweep is tried: devices come and go under it.
const sweepAttempts = 3

// sweep removes what an earlier agent left: whether its sessions may still be
// offloaded is not known. Nothing is offloaded while any of that may be there.
func (a *Agent) sweep(ctx context.Context) (err error) {
	for range sweepAttempts {
		var n int
		if n, err = a.sweepOnce(ctx); n > 0 {
			a.log.Warn("removed rules that an earlier agent left", "rules", n)
		}
		if err == nil {
			return nil
		}
	}
	if !a.cfg.Engine.Enforce {
		a.log.Warn("rules of an earlier agent may be there (flowshuntctl audit tells)", "error", err)
		return nil
	}
	return err
}

func (a *Agent) sweepOnce(ctx context.Context) (int, error) {
	n, err := a.eswitch.Sweep(ctx)
	if a.driver == nil {
		return n, err
	}
	// An agent with another --preference has left its rules there.
	others, errOthers := a.driver.Preferences(ctx)
	errs := []error{err, errOthers}
	for _, preference := range others {
		m, err := sweepAt(ctx, preference)
		n += m
		errs = append(errs, err)
	}
	return n, errors.Join(errs...)
}

func sweepAt(ctx context.Context, preference uint16) (n int, err error) {
	driver, err := flower.Open(flower.Config{Preference: preference})
	if err != nil {
		return 0, err
	}
	n, err = eswitch.New(driver, eswitch.Config{}).Sweep(ctx)
	return n, errors.Join(err, driver.Close())
}
