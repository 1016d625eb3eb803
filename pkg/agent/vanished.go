package agent

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/flowshunt/flowshunt/pkg/tc"
)

// vanished hears what others delete in tc, and has what may depend on it looked at
// at once: a deletion only wakes, for one can be the end of many rules, and a lost
// message that of any.
type vanished struct {
	deletions *tc.Watcher // nil: the eswitch is not tc
	ports     interface{ soon() }
	counter   interface{ soon() }
	health    *component
}

func (v *vanished) run(ctx context.Context) error {
	v.health.ok()
	if v.deletions == nil {
		return nil
	}
	for {
		err := v.deletions.Receive(ctx, v.deleted)
		switch {
		case ctx.Err() != nil || errors.Is(err, os.ErrClosed):
			return nil
		case errors.Is(err, tc.ErrOverrun):
			v.health.note(err)
			v.lookAtAll()
		case err != nil:
			v.health.failed(err)
			v.lookAtAll()
			pause(ctx, time.Second)
		}
	}
}

func (v *vanished) deleted(d *tc.Deletion) error {
	v.health.ok()
	if d.OnIngress() {
		v.ports.soon() // first: rules need a qdisc to come back to
	}
	if d.OnIngress() || d.Object != tc.ObjectQdisc {
		v.counter.soon()
	}
	return nil
}

func (v *vanished) lookAtAll() {
	v.ports.soon()
	v.counter.soon()
}
