package openflow

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/eswitch/eswitchtest"
)

// BenchmarkSessions installs, counts, keeps and removes sessions on a real Open vSwitch,
// and tells how much of its processor each takes.
func BenchmarkSessions(b *testing.B) {
	const sessions = 5000
	w := newWorld(b, Config{})
	e := eswitch.New(w.driver, eswitch.Config{})
	for _, link := range []int32{w.A, w.B} {
		if err := e.PreparePort(b.Context(), link); err != nil {
			b.Fatal(err)
		}
	}
	all := w.Sessions(sessions)
	ids := eswitchtest.IDs(all)
	step := func(name string, f func() error) {
		before := w.ticks()
		start := b.Elapsed()
		if err := f(); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(sessions)/(b.Elapsed()-start).Seconds(), name+"/s")
		b.ReportMetric(float64(w.ticks()-before)*10_000/sessions, name+"-ovs-us")
	}
	for b.Loop() {
		step("install", func() error { return firstError(e.Install(b.Context(), all)) })
		step("count", func() error { _, _, err := e.Counters(b.Context()); return err })
		step("keep", func() error { return e.Keep(b.Context()) })
		step("remove", func() error {
			for _, err := range e.Remove(b.Context(), ids) {
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// BenchmarkOneMore installs and removes one routed session where there are many.
func BenchmarkOneMore(b *testing.B) {
	const sessions = 10_000
	w := newWorld(b, Config{Hard: time.Hour})
	e := w.prepared(b, w.driver)
	all := make([]flows.Session, sessions+1)
	for i := range all {
		all[i] = w.Shaped(i+1, eswitchtest.Shape{Proto: flows.TCP, Hops: 1})
	}
	for some := range slices.Chunk(all[:sessions], 1000) {
		mustInstall(b, e, some...)
	}
	for b.Loop() {
		mustInstall(b, e, all[sessions])
		b.StopTimer()
		if err := e.Remove(b.Context(), []flows.SessionID{all[sessions].ID})[0]; err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func firstError(results []eswitch.Result) error {
	for _, r := range results {
		if r.Err != nil {
			return r.Err
		}
	}
	return nil
}

// ticks returns the processor time of ovs-vswitchd, in hundredths of a second.
func (w *world) ticks() (n int64) {
	w.t.Helper()
	pid, err := os.ReadFile(w.Rundir + "/ovs-vswitchd.pid")
	if err != nil {
		w.t.Fatal(err)
	}
	text, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat")
	if err != nil {
		w.t.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')'):]))
	var user, system int64
	if _, err := fmt.Sscan(fields[12]+" "+fields[11], &system, &user); err != nil {
		w.t.Fatal(err)
	}
	return user + system
}
