package eswitch

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// Config changes how an Eswitch works. The zero value is fine.
type Config struct {
	// Chunk is how many sessions are sent to the driver at a time; 0 means 64. A
	// removal waits for at most one chunk of an installation.
	Chunk int
	// Workers is how many chunks are sent at once; 0 means one per CPU, at most 4.
	Workers int
	// RollbackTime bounds what is done after the caller's context ended; 0 means 10 s.
	RollbackTime time.Duration
	// NoGuards is for a driver that leaves packets with too few hops left to the slow
	// path by itself.
	NoGuards bool
}

// MaxRules is how many rules a session can have.
const MaxRules = 32

// Eswitch keeps sessions in one eswitch. Its methods are safe for concurrent
// use; the package comment says what is serialized.
type Eswitch struct {
	driver Driver
	cfg    Config
	handle atomic.Uint32 // of the last rule, without the direction bit

	mu       sync.Mutex
	sessions map[flows.SessionID]*session
	slots    map[slot]int   // rules of installed sessions, by place
	read     map[int32]bool // ports at which no rule of an earlier process can be met any more
	epoch    uint32         // number of the last reading of counters
	guards   map[flows.Rule]*guard
	guardAt  map[Ref]*guard

	left map[Ref]flows.Rule // guards that were forgotten and may stand

	guarding locks      // one change of guards at a port at a time; taken before mu
	reading  sync.Mutex // one reading of counters at a time; guards stats
	stats    []stat
}

// slot is a set of rules that one dump reports.
type slot struct {
	link  int32
	class Class
}

type state uint8

const (
	installing state = iota
	installed
	removing
	residue // rules are left that could not be removed
)

// session is what the Eswitch knows of one session.
type session struct {
	state      state
	sent       bool          // while installing: rules may be there
	overtaken  bool          // while installing: a Remove waits
	done       chan struct{} // closed when installing or removing has ended
	rules      []rule
	guards     []*guard // that the rules need; nil: none
	hidesBreak bool     // rules say nothing of MayBreak, see Found
	hardware   bool     // shall be in hardware unless that cannot do it

	born  uint32 // epoch when it was installed
	read  uint32 // epoch when rules of it were last seen
	seen  uint32 // which of the rules, a bit each
	index int    // of its counters in that reading
}

type rule struct {
	ref  Ref
	rule flows.Rule
}

// New returns an Eswitch that knows of no session yet; see Sweep for what an
// earlier process left.
func New(driver Driver, cfg Config) *Eswitch {
	if cfg.Chunk <= 0 {
		cfg.Chunk = 64
	}
	if cfg.Workers <= 0 {
		cfg.Workers = min(runtime.GOMAXPROCS(0), 4)
	}
	if cfg.RollbackTime <= 0 {
		cfg.RollbackTime = 10 * time.Second
	}
	return &Eswitch{
		driver:   driver,
		cfg:      cfg,
		sessions: make(map[flows.SessionID]*session),
		slots:    make(map[slot]int),
		read:     make(map[int32]bool),
		guards:   make(map[flows.Rule]*guard),
		guardAt:  make(map[Ref]*guard),
		left:     make(map[Ref]flows.Rule),
	}
}

// Len returns the number of sessions that are installed, or on their way in or out.
func (e *Eswitch) Len() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.sessions)
}

// place returns where a rule shall stand.
func (e *Eswitch) place(r flows.Rule) rule {
	class, _ := ClassOf(r)
	return rule{Ref{Link: r.In, Class: class, Handle: e.newHandle()<<1 | uint32(r.Dir)}, r}
}

// newHandle returns a handle without its direction bit.
func (e *Eswitch) newHandle() uint32 {
	n := e.handle.Add(1)
	if n&(1<<31-1) == 0 { // a handle of 0 means that the kernel chooses
		n = e.handle.Add(1)
	}
	return n
}

// reserve keeps new rules from standing where a rule of an earlier process does.
func (e *Eswitch) reserve(handle uint32) {
	for {
		last := e.handle.Load()
		if last >= handle>>1 || e.handle.CompareAndSwap(last, handle>>1) {
			return
		}
	}
}

// chunks calls fn for parts of n items, several at once, and returns when all are
// done.
func (e *Eswitch) chunks(n int, fn func(from, to int)) {
	if n <= e.cfg.Chunk {
		if n > 0 {
			fn(0, n)
		}
		return
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(e.cfg.Workers, (n+e.cfg.Chunk-1)/e.cfg.Chunk) {
		wg.Go(func() {
			for {
				to := int(next.Add(int64(e.cfg.Chunk)))
				from := to - e.cfg.Chunk
				if from >= n {
					return
				}
				fn(from, min(to, n))
			}
		})
	}
	wg.Wait()
}

// afterwards returns a context for what must be done even if ctx has ended.
func (e *Eswitch) afterwards(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), e.cfg.RollbackTime)
}

// occupy counts the session's rules in, or with n = -1 out. e.mu is held.
func (e *Eswitch) occupy(s *session, n int) {
	for _, r := range s.rules {
		e.occupyOne(r.ref, n)
	}
}

func (e *Eswitch) occupyOne(ref Ref, n int) {
	at := slot{ref.Link, ref.Class}
	if e.slots[at] += n; e.slots[at] == 0 {
		delete(e.slots, at)
	}
}
