package agent

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/control"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/eswitch/model"
)

// firmware takes one insertion at a time, as that of a NIC does.
type firmware struct {
	mu     sync.Mutex
	each   time.Duration
	worked time.Duration
}

func (f *firmware) take(c eswitch.Change) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c.Op == eswitch.Add && f.each > 0 {
		began := time.Now()
		time.Sleep(f.each) // it is what is modelled
		f.worked += time.Since(began)
	}
	return nil
}

func (f *firmware) set(each time.Duration) (worked time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.each = each
	return f.worked
}

// TestSlowDriver: a driver that takes 500 rules a second is kept busy, and meanwhile an
// operator's question is answered at once.
func TestSlowDriver(t *testing.T) {
	const (
		n     = 1000
		each  = 2 * time.Millisecond
		busy  = 0.8 // of the time, at least
		quick = 50 * time.Millisecond
	)
	f := &firmware{}
	r, m, _, _ := enforcing(t, n, func(_ *Config, c *model.Config) { c.Fail = f.take })
	client, err := control.Dial(t.Context(), r.cfg.Control.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	f.set(each)
	began := time.Now()
	r.loop.post(engine.EswitchReset{})
	eventually(t, "all are out", func() bool { return m.Len() < n })
	var latencies []time.Duration
	for m.Len() < 2*n && time.Since(began) < time.Minute {
		asked := time.Now()
		if _, err := client.Show(t.Context()); err != nil {
			t.Fatal(err)
		}
		latencies = append(latencies, time.Since(asked))
	}
	took := time.Since(began)
	worked := f.set(0)
	slices.Sort(latencies)
	p99 := latencies[len(latencies)*99/100]
	t.Logf("%d rules in %v, %.0f per second: the driver was busy for %.0f %% of that; %d answers, 99 %% within %v",
		2*n, took, 2*n/took.Seconds(), 100*worked.Seconds()/took.Seconds(), len(latencies), p99)
	if worked.Seconds() < busy*took.Seconds() {
		t.Errorf("the driver was busy for %v of %v", worked, took)
	}
	if p99 > quick {
		t.Errorf("99 %% of the answers within %v, want %v", p99, quick)
	}
}
