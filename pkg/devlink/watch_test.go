package devlink

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/pkg/nlsocket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A port comes, gets and loses its network device, and goes.
func TestApply(t *testing.T) {
	w := &Watcher{ports: make(map[key]Port), modes: make(map[string]Mode)}
	for _, step := range []struct {
		name    string
		changed bool
		ifindex int32 // -1: no port
	}{
		{"port new vf", true, 8}, {"port new vf", false, 8}, {"netdev gone", true, 0}, {"port new vf", true, 8},
		{"health error", false, 8}, {"port del", true, -1}, {"port del", false, -1},
	} {
		ev, _, err := decodeEvent(message(t, step.name), familyID)
		if err != nil {
			t.Fatal(err)
		}
		if _, changed := w.apply(&ev); changed != step.changed {
			t.Errorf("%s: changed is %t", step.name, changed)
		}
		ports := w.Snapshot().Ports
		if len(ports) > 1 || (len(ports) == 0) != (step.ifindex < 0) || len(ports) == 1 && ports[0].Ifindex != step.ifindex {
			t.Errorf("%s: %+v", step.name, ports)
		}
	}
}

// A mode is kept as long as there are ports.
func TestSetMode(t *testing.T) {
	w := &Watcher{ports: make(map[key]Port), modes: make(map[string]Mode)}
	if w.setMode("pci/a", ModeLegacy) || len(w.Snapshot().Modes) != 0 {
		t.Error("a device without ports has a mode")
	}
	w.ports[key{"pci/a", 1}] = Port{Device: "pci/a", Index: 1}
	if !w.setMode("pci/a", ModeLegacy) || w.setMode("pci/a", ModeLegacy) || !w.setMode("pci/a", ModeSwitchdev) {
		t.Error("what differs is a change")
	}
	if got := w.Snapshot().Modes["pci/a"]; got != ModeSwitchdev {
		t.Error(got)
	}
	delete(w.ports, key{"pci/a", 1})
	if !w.setMode("pci/a", ModeSwitchdev) || len(w.Snapshot().Modes) != 0 {
		t.Error("the mode of a device that is gone is kept")
	}
}

func TestEventReset(t *testing.T) {
	for name, want := range map[string]Reset{
		"health error":     {Device: "eswsim/n0", Cause: "health reporter fw of eswsim/n0 reports an error (1 errors, 0 recoveries)"},
		"health recovered": {Device: "eswsim/n0", Cause: "health reporter fw of eswsim/n0 recovered (1 errors, 1 recoveries)"},
		"device new":       {Device: "eswsim/n0", Reload: true, Cause: "eswsim/n0 was reloaded, added or removed"},
		"port new vf":      {}, "port del": {},
	} {
		ev, _, err := decodeEvent(message(t, name), familyID)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := ev.reset(); got != want || ok != (want != Reset{}) {
			t.Errorf("%s: %+v, %t", name, got, ok)
		}
	}
}

// On any kernel, with devlink or without, a watcher runs until it is told to end.
func TestWatcherRuns(t *testing.T) {
	w := New(Told{})
	once, err := Read(t.Context())
	if s := w.Snapshot(); err != nil || len(s.Ports) != len(once.Ports) {
		t.Errorf("%+v, then %+v, %v", s, once, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it does not end")
	}
}

// fake is a host with one device.
type fake struct {
	mu       sync.Mutex
	snapshot Snapshot
	mode     Mode
	errs     []error // of the next calls
	reads    int
}

func (f *fake) set(s Snapshot, m Mode, errs ...error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.snapshot, f.mode, f.errs = s, m, errs
}

func (f *fake) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reads
}

func (f *fake) fail() (err error) {
	if len(f.errs) > 0 {
		err, f.errs = f.errs[0], f.errs[1:]
	}
	return err
}

func (f *fake) Read(context.Context) (Snapshot, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads++
	return f.snapshot, f.fail()
}

func (f *fake) Mode(context.Context, string) (Mode, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mode, f.fail()
}

// following runs a watcher of a fake, and returns where it hears things, and what it
// told when it has ended.
func following(t *testing.T, f *fake) (w *Watcher, hears chan heard, end func() (resets []Reset, errs int)) {
	t.Helper()
	w = &Watcher{source: f, changed: make(chan struct{}, 1), again: make(chan struct{}, 1), ports: make(map[key]Port), modes: make(map[string]Mode)}
	var resets []Reset
	errs := 0
	w.told = Told{Reset: func(r Reset) { resets = append(resets, r) }, Trouble: func(error) { errs++ }, Looked: func(err error) {
		if err != nil {
			errs++
		}
	}}
	ctx, cancel := context.WithCancel(t.Context())
	hears = make(chan heard)
	ended := make(chan error, 1)
	go func() { ended <- w.follow(ctx, hears) }()
	return w, hears, func() ([]Reset, int) {
		cancel()
		<-ended
		return resets, errs
	}
}

// pass lets time pass, in a bubble.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func told(t *testing.T, name string) heard {
	t.Helper()
	ev, ok, err := decodeEvent(message(t, name), familyID)
	if !ok || err != nil {
		t.Fatal(name, err)
	}
	return heard{News: []event{ev}}
}

// What is lost may have been a reset, of any device; that is told once, however often
// it takes to read everything again.
func TestLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		there := Snapshot{Ports: []Port{{Device: "pci/a", Index: 1}}, Modes: map[string]Mode{"pci/a": ModeSwitchdev}}
		f := &fake{}
		w, hears, end := following(t, f)
		hears <- told(t, "port new vf")
		hears <- told(t, "health error")
		pass(time.Minute)
		f.set(there, ModeUnknown, errors.New("one"), errors.New("two"))
		hears <- heard{Err: nlsocket.ErrOverrun}
		pass(time.Minute)
		if s := w.Snapshot(); len(s.Ports) != 1 || s.Ports[0].Device != "pci/a" || s.Modes["pci/a"] != ModeSwitchdev {
			t.Errorf("%+v", s)
		}
		f.set(Snapshot{}, ModeUnknown, errors.New("a look fails"))
		w.Refresh()
		pass(time.Minute)
		resets, errs := end()
		if len(resets) != 2 || resets[0].Device != "eswsim/n0" || resets[1].Device != "" || errs != 4 {
			t.Errorf("%+v, %d", resets, errs)
		}
	})
}

// What cannot be read says nothing of a reset. It makes everything be read again, ever
// less often where it does not end.
func TestMalformed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		_, hears, end := following(t, f)
		_, err := nlsocket.DecodeAll([]byte{1, 2, 3}, decoder(familyID))
		if err == nil {
			t.Fatal("three bytes are a message")
		}
		hears <- heard{Err: err}
		pass(2 * quiet)
		if f.reads != 1 {
			t.Errorf("read %d times after one, want once", f.reads)
		}
		for range 5 * 60 {
			hears <- heard{Err: err}
			pass(2 * quiet)
		}
		resets, _ := end()
		if f.reads < 5 || f.reads > 20 {
			t.Errorf("read %d times in a minute of them", f.reads)
		}
		if len(resets) > 0 {
			t.Errorf("told of %+v", resets)
		}
	})
}

// deaf is a socket that fails.
type deaf struct{ asked int }

func (d *deaf) Receive(context.Context) ([]byte, error) { d.asked++; return nil, errors.New("deaf") }
func (d *deaf) Close() error                            { return nil }

func TestDeaf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, d := &fake{}, &deaf{}
		w, hears, end := following(t, f)
		w.events, w.conn = d, &Conn{}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		heard, stop := w.hear(ctx)
		defer stop()
		for ctx.Err() == nil {
			select {
			case h := <-heard:
				hears <- h
			case <-ctx.Done():
			}
		}
		resets, _ := end()
		if len(resets) > 0 || d.asked > 20 || f.reads < 5 || f.reads > 20 {
			t.Errorf("asked %d times in a minute, read %d times, told of %+v", d.asked, f.reads, resets)
		}
	})
}

// A watcher that cannot be opened says so, and tries until it can.
func TestOpensLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("no memory")
		errs := []error{broken, broken, ErrNoDevlink}
		var looked []error
		w := &Watcher{told: Told{Looked: func(err error) { looked = append(looked, err) }}}
		w.dial = func() (_ *Conn, _ nlsocket.Receiver, err error) {
			err, errs = errs[0], errs[1:]
			return nil, nil, err
		}
		if w.open() {
			t.Error("opened what fails")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := w.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if len(looked) != 3 || !errors.Is(looked[0], broken) || !errors.Is(looked[1], broken) || looked[2] != nil {
			t.Errorf("told %v", looked)
		}
	})
}

// A device whose driver fails has answered: what it is asked is not known.
func TestUnanswered(t *testing.T) {
	for _, errno := range []unix.Errno{unix.EOPNOTSUPP, unix.ENODEV, unix.EPERM, unix.EIO, unix.EBUSY} {
		if err := unanswered(fmt.Errorf("x: %w", &nlsocket.Error{Errno: errno})); err != nil {
			t.Errorf("%v fails everything", err)
		}
	}
	for _, err := range []error{nil, nlsocket.ErrNoAnswer, unix.EIO} {
		if unanswered(err) != err {
			t.Errorf("%v is an answer", err)
		}
	}
}

// A device that makes ports is asked for its mode when it is done, until it answers.
func TestModeComesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{mode: ModeLegacy, errs: []error{errors.New("not now")}}
		w, hears, end := following(t, f)
		for _, name := range []string{"device new", "port new uplink", "port new vf"} {
			hears <- told(t, name)
			pass(quiet / 2)
		}
		if s := w.Snapshot(); len(s.Ports) != 2 || len(s.Modes) != 0 {
			t.Errorf("asked too early: %+v", s)
		}
		pass(3 * quiet)
		if s := w.Snapshot(); s.Modes["eswsim/n0"] != ModeLegacy {
			t.Errorf("%+v", s)
		}
		f.set(Snapshot{Ports: w.Snapshot().Ports, Modes: map[string]Mode{"eswsim/n0": ModeSwitchdev}}, ModeSwitchdev)
		w.Refresh()
		pass(quiet)
		if s := w.Snapshot(); s.Modes["eswsim/n0"] != ModeSwitchdev || len(s.Ports) != 2 {
			t.Errorf("%+v", s)
		}
		if resets, errs := end(); len(resets) != 1 || !resets[0].Reload || errs != 1 {
			t.Errorf("%+v, %d", resets, errs)
		}
	})
}

// Nor is it asked for its ports before, however often somebody wants a look at everything.
func TestRefreshWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		w, hears, end := following(t, f)
		defer end()
		for range 20 {
			hears <- told(t, "port new vf")
			hears <- told(t, "port del")
			w.Refresh()
			pass(quiet / 2)
		}
		if n := f.count(); n > 0 {
			t.Errorf("read %d times while ports are made", n)
		}
		pass(2 * quiet)
		if n := f.count(); n != 1 {
			t.Errorf("read %d times after that, want once", n)
		}
	})
}
