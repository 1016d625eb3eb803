package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
)

var silent = slog.New(slog.NewTextHandler(io.Discard, nil))

// fakeEswitch notes what it is told to do, and waits for hold before each batch.
type fakeEswitch struct {
	calls  []string
	hold   chan bool
	refuse map[flows.SessionID]error
	cannot map[flows.SessionID]error
}

func (f *fakeEswitch) wait() {
	if f.hold != nil {
		<-f.hold
	}
}

func (f *fakeEswitch) Install(_ context.Context, sessions []flows.Session) []eswitch.Result {
	results := make([]eswitch.Result, len(sessions))
	for i, s := range sessions {
		f.calls = append(f.calls, fmt.Sprint("install ", uint64(s.ID)))
		results[i].Err = f.refuse[s.ID]
	}
	f.wait()
	return results
}

func (f *fakeEswitch) Remove(_ context.Context, ids []flows.SessionID) []error {
	errs := make([]error, len(ids))
	for i, id := range ids {
		f.calls = append(f.calls, fmt.Sprint("remove ", uint64(id)))
		errs[i] = f.cannot[id]
	}
	f.wait()
	return errs
}

func testRules(f *fakeEswitch) *rules {
	ports := func(id flows.PortID) ([]int32, int32, bool) { return []int32{int32(id) * 10}, int32(id) * 10, id < 9 }
	return newRules(f, ports, testLoop(), newComponent("eswitch", silent), silent)
}

func install(id flows.SessionID) engine.Install {
	return engine.Install{Session: id, Op: 5, Paths: flows.Paths{{In: 1, Out: 2}, {In: 2, Out: 1}}}
}

// runRules lets an executor work until it has nothing to do, and returns its answers.
func runRules(t *testing.T, r *rules) (events []engine.Event) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r.wake = make(chan struct{}, 1)
		for _, l := range r.lanes {
			l.wake = make(chan struct{}, 1)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.run(ctx) }()
		synctest.Wait()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return r.loop.posted()
}

func TestRemovalsComeFirst(t *testing.T) {
	f := &fakeEswitch{}
	r := testRules(f)
	r.install(install(1))
	r.remove(engine.Remove{Session: 2, Op: 3})
	events := runRules(t, r)
	if want := []string{"remove 2", "install 1"}; !slices.Equal(f.calls, want) {
		t.Errorf("did %q, want %q", f.calls, want)
	}
	want := []engine.Event{engine.Removed{Session: 2, Op: 3}, engine.Installed{Session: 1, Op: 5}}
	if !slices.Equal(events, want) {
		t.Errorf("answered %+v, want %+v", events, want)
	}
}

// A removal takes an installation that waits out of the queue, and is carried out.
func TestRemovalCancelsInstallation(t *testing.T) {
	f := &fakeEswitch{}
	r := testRules(f)
	r.install(install(1))
	r.install(install(2))
	r.remove(engine.Remove{Session: 1, Op: 6})
	runRules(t, r)
	if want := []string{"remove 1", "install 2"}; !slices.Equal(f.calls, want) {
		t.Errorf("did %q, want %q", f.calls, want)
	}
}

// A removal that comes while many installations wait is next, after the batch that
// is with the kernel.
func TestRemovalWaitsForOneBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeEswitch{hold: make(chan bool)}
		r := testRules(f)
		for id := range flows.SessionID(1000) {
			r.install(install(id + 1))
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.run(ctx) }()
		synctest.Wait()
		if r.busy() != 0 {
			t.Error("busy for some time at once")
		}
		time.Sleep(time.Minute) // of the bubble
		if r.busy() != time.Minute {
			t.Errorf("busy for %v, want a minute", r.busy())
		}
		r.remove(engine.Remove{Session: 1})
		r.remove(engine.Remove{Session: 1000})
		f.hold <- true
		synctest.Wait()
		want := []string{"remove 1", "remove 1000"}
		if got := f.calls[installChunk:]; !slices.Equal(got, want) {
			t.Errorf("after the batch: %q, want %q", got, want)
		}
		cancel()
		close(f.hold)
		<-ended
		if r.busy() != 0 {
			t.Error("busy after the end")
		}
		if slices.Contains(f.calls, "install 1000") {
			t.Error("an installation that was cancelled was carried out")
		}
	})
}

// The time that a removal takes must not grow with the installations that wait.
func TestRemovalsOfManyThatWait(t *testing.T) {
	const n = 100_000
	r := testRules(&fakeEswitch{})
	for id := range flows.SessionID(n) {
		r.install(install(id + 1))
	}
	began := time.Now()
	for id := range flows.SessionID(n) {
		r.remove(engine.Remove{Session: id + 1})
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("%d removals took %v", n, took)
	}
	if _, installs := r.lane("").next(); len(installs) != 0 {
		t.Error("removals do not come first")
	}
}

func TestInstallAnswers(t *testing.T) {
	wrap := func(err error) error { return &eswitch.RuleError{Err: fmt.Errorf("%w: extack says so", err)} }
	for _, tt := range []struct {
		err  error
		want flows.Reason
	}{
		{nil, ""},
		{wrap(eswitch.ErrFull), flows.TableFull},
		{wrap(eswitch.ErrPortGone), flows.PortGone},
		{wrap(eswitch.ErrNotPrepared), flows.PortUnready},
		{wrap(eswitch.ErrIngress), flows.PortUnready},
		{wrap(eswitch.ErrForeign), flows.PortUnready},
		{wrap(eswitch.ErrNotOffloaded), flows.Refused},
		{errors.New("whatever"), flows.InstallFailed},
	} {
		f := &fakeEswitch{refuse: map[flows.SessionID]error{1: tt.err}}
		r := testRules(f)
		r.install(install(1))
		want := engine.Installed{Session: 1, Op: 5, Reason: tt.want}
		if tt.err != nil {
			want.Detail = tt.err.Error()
		}
		if got := runRules(t, r); !slices.Equal(got, []engine.Event{want}) {
			t.Errorf("%v: answered %+v, want %+v", tt.err, got, want)
		}
	}
}

// An installation on a port that is not usable any more is refused unsent.
func TestInstallOnAPortThatIsGone(t *testing.T) {
	f := &fakeEswitch{}
	r := testRules(f)
	e := install(1)
	e.Paths[1].Out = 9
	r.install(e)
	r.install(install(2))
	want := []engine.Event{engine.Installed{Session: 1, Op: 5, Reason: flows.PortGone}, engine.Installed{Session: 2, Op: 5}}
	if got := runRules(t, r); !slices.Equal(got, want) {
		t.Errorf("answered %+v, want %+v", got, want)
	}
	if !slices.Equal(f.calls, []string{"install 2"}) {
		t.Errorf("did %q", f.calls)
	}
}

func TestRemovalFails(t *testing.T) {
	busy := errors.New("device busy")
	r := testRules(&fakeEswitch{cannot: map[flows.SessionID]error{1: busy}})
	r.remove(engine.Remove{Session: 1, Op: 8})
	got := runRules(t, r)
	if len(got) != 1 || got[0] != (engine.Removed{Session: 1, Op: 8, Err: busy}) {
		t.Errorf("answered %+v", got)
	}
	if r.health.get().LastError != busy.Error() {
		t.Error("nobody is told")
	}
}

// A refusal for want of room is no trouble.
func TestFullIsNoTrouble(t *testing.T) {
	r := testRules(&fakeEswitch{refuse: map[flows.SessionID]error{1: &eswitch.RuleError{Err: eswitch.ErrFull}}})
	r.install(install(1))
	runRules(t, r)
	if c := r.health.get(); c.LastError != "" {
		t.Errorf("complains: %s", c.LastError)
	}
}

// slowEswitch takes its time for what comes in at one port.
type slowEswitch struct {
	mu    sync.Mutex
	slow  time.Duration // for each session
	sizes []int         // of the batches
}

func (s *slowEswitch) Install(_ context.Context, sessions []flows.Session) []eswitch.Result {
	if sessions[0].Rules[0].In == 10 {
		s.mu.Lock()
		s.sizes = append(s.sizes, len(sessions))
		s.mu.Unlock()
		time.Sleep(time.Duration(len(sessions)) * s.slow)
	}
	return make([]eswitch.Result, len(sessions))
}

func (s *slowEswitch) Remove(_ context.Context, ids []flows.SessionID) []error {
	return make([]error, len(ids))
}

// A slow eswitch keeps nothing of another waiting, and gets batches that it can do soon.
func TestSlowEswitchApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slowEswitch{slow: 4 * time.Millisecond}
		ports := func(id flows.PortID) ([]int32, int32, bool) { return []int32{int32(id) * 10}, int32(id) * 10, true }
		r := newRules(s, ports, testLoop(), newComponent("eswitch", silent), silent)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.run(ctx) }()
		for id := range flows.SessionID(500) {
			e := install(id + 1)
			e.Eswitch = "slow"
			r.install(e)
		}
		time.Sleep(time.Millisecond) // of the bubble
		other := engine.Install{Session: 1000, Eswitch: "other", Paths: flows.Paths{{In: 3, Out: 4}, {In: 4, Out: 3}}}
		r.install(other)
		r.remove(engine.Remove{Session: 1001, Eswitch: "other"})
		synctest.Wait()
		if got := len(r.loop.posted()); got != 2 {
			t.Errorf("%d answers while the slow eswitch is busy, want 2", got)
		}
		time.Sleep(time.Second) // of the bubble
		s.mu.Lock()
		last := s.sizes[len(s.sizes)-1]
		s.mu.Unlock()
		if took := time.Duration(last) * s.slow; took > 2*batchTime || took < batchTime/4 {
			t.Errorf("batches %v, of %v at the end", s.sizes, took)
		}
		before := len(r.loop.posted())
		r.remove(engine.Remove{Session: 1, Eswitch: "slow"})
		time.Sleep(2 * batchTime)
		if removed := slices.ContainsFunc(r.loop.posted(), func(e engine.Event) bool { _, ok := e.(engine.Removed); return ok }); !removed {
			t.Errorf("no removal within %v, %d answers before", 2*batchTime, before)
		}
		cancel()
		<-ended
	})
}
