package engine

import (
	"net/netip"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// Engine is the decision core. It is not safe for concurrent use.
type Engine struct {
	cfg     Config
	now     flows.Instant
	effects []Effect

	entries    table
	labels     map[*entry][16]byte // of the few that have some
	orders     map[*entry]order    // likewise
	sessions   map[flows.SessionID]*session
	list       []*session                 // the same, in no order
	states     [len(stateNames)]int       // how many there are, by state
	claims     map[flows.Tuple][]*session // that an earlier agent left, until their entries are known
	nextID     flows.SessionID
	tombstones tombstones

	ports  map[flows.PortID]PortState  // every port that exists
	onPort map[flows.PortID][]*session // bound sessions by each port of their paths; dead ones are skipped

	changes    uint64        // PathsDoubted so far
	doubted    []*session    // in doubt, or were when last looked at
	validating int           // Validates on their way
	validateAt flows.Instant // no bound is passed before

	sources  []permissionSource
	revision uint64                               // of all that sources told
	logical  map[flows.LogicalPort][]flows.PortID // ports that have security groups
	byRule   index[ruleKey]                       // bound sessions by the rules that permit them
	byAddr   index[netip.Addr]                    // ... by their addresses
	denials  []deny                               // on their way to conntrack
	departed []departed                           // oldest first

	policies Policies // nil: they have not been told yet
	version  uint32   // counts them
	sieve    sieve

	rooms      []*room    // by eswitch, in order
	sole       *room      // of all usable ports; nil: there are several
	queues     []*queue   // of those that want to be offloaded, by where to
	polls      []poll     // sessions with rules, by the time of their next read
	retries    []*session // removals that failed
	inserts    bucket
	scouts     bucket // look-ups of paths that most likely lead nowhere: a tenth of inserts
	reads      bucket
	displaceAt flows.Instant // next time a displacement is considered

	adoptBy  flows.Instant // by when what an earlier agent left must be confirmed
	forced   flows.Reason  // why observe is forced, if it is
	stopping bool
	counts   Counts
}

// New returns an engine that follows nothing yet. cfg must be valid.
func New(cfg Config) *Engine {
	g := &Engine{
		cfg:        cfg,
		version:    1,
		now:        1, // 0 stands for "never"
		labels:     make(map[*entry][16]byte),
		orders:     make(map[*entry]order),
		claims:     make(map[flows.Tuple][]*session),
		entries:    newTable(),
		sessions:   make(map[flows.SessionID]*session),
		nextID:     max(cfg.FirstSession, 1),
		tombstones: tombstones{expires: make(map[flows.Tuple]flows.Instant)},
		ports:      make(map[flows.PortID]PortState),
		onPort:     make(map[flows.PortID][]*session),
		sieve:      sieve{portion: sievePortion},
		sources:    newSources(cfg.PermissionSources, 1),
		revision:   1,
		byRule:     newIndex[ruleKey](),
		byAddr:     newIndex[netip.Addr](),
		inserts:    newBucket(cfg.InsertRate, time.Second),
		scouts:     newBucket(cfg.InsertRate/10, time.Second),
		reads:      newBucket(cfg.ReadBudget, time.Second),
		counts:     newCounts(),
	}
	if !cfg.AwaitPolicies {
		g.policies = elephants{cfg.Elephant}
	}
	return g
}

// Step takes what happened up to now and returns what shall be done. now must
// never go back. It wants to be called at least every 50 ms, with or without
// events, so that timers are on time. The effects are the caller's to keep.
func (g *Engine) Step(now flows.Instant, events []Event) []Effect {
	g.now = max(g.now, now)
	g.inserts.refill(g.now)
	g.scouts.refill(g.now)
	g.reads.refill(g.now)
	g.effects = nil
	for _, ev := range events {
		g.handle(ev)
	}
	g.sift()
	g.checkGrace()
	g.checkPolicies()
	g.validate()
	g.installReady()
	g.retryRemovals()
	g.poll()
	g.admit()
	g.keepPace()
	g.deny()
	return g.effects
}

func (g *Engine) handle(ev Event) {
	switch ev := ev.(type) {
	case EntriesRead:
		for i := range ev.Entries {
			g.entryRead(ev.At, &ev.Entries[i])
		}
	case EntriesAppeared:
		for i := range ev.Entries {
			// A flood of beginnings may take half of the room; a dump shows what replies.
			if g.entries.get(ev.Entries[i].Key) == nil && g.entries.size < g.cfg.MaxFollow/2 {
				g.entryRead(ev.At, &ev.Entries[i])
			}
		}
	case EntriesGone:
		for _, key := range ev.Keys {
			g.entryGone(key)
		}
	case DumpDone:
		g.dumpDone(ev)
	case Lost:
		g.readAllSoon()
	case Hint:
		g.hint(ev.Tuple)
	case Sighted:
		g.sighted(ev.Tuple)
	case PathResolved:
		g.pathResolved(&ev)
	case Pause:
		g.cfg.AwaitRules = true
	case PathsDoubted:
		g.pathsDoubted(ev)
	case Validated:
		g.validated(&ev)
	case RulesFound:
		g.rulesFound(ev.Sessions)
	case MACAgeing:
		g.macAgeing(ev)
	case Relaxed:
		g.relaxed(ev)
	case Installed:
		g.installed(ev)
	case Removed:
		g.removed(ev)
	case SessionRead:
		g.sessionRead(ev)
	case Counted:
		g.counted(ev.Sessions)
	case RulesVanished:
		g.rulesVanished(ev.Sessions)
	case EswitchReset:
		g.eswitchReset(ev.Eswitch)
	case PortsChanged:
		g.portsChanged(ev.Ports)
	case PermissionsChanged:
		g.permissionsChanged(&ev)
	case PermissionsStale:
		g.permissionsStale(ev)
	case PermissionsEnforced:
		g.permissionsEnforced(ev)
	case PoliciesChanged:
		g.policiesChanged(&ev)
	case Ordered:
		g.ordered(&ev)
	case ModeChanged:
		g.modeChanged(ev)
	case Stop:
		g.stop()
	}
}

func (g *Engine) emit(e Effect) { g.effects = append(g.effects, e) }

// modeChanged drops what the old mode has made; connections that are still worth
// it come back by the new mode's way.
func (g *Engine) modeChanged(ev ModeChanged) {
	if g.cfg.Enforce == ev.Enforce && g.forced == ev.Reason {
		return
	}
	g.cfg.Enforce, g.forced = ev.Enforce, ev.Reason
	cause := ev.Reason
	if cause == "" {
		cause = flows.ModeSwitched
	}
	for _, s := range g.sessionsInOrder() {
		g.remove(s, cause)
	}
}

func (g *Engine) stop() {
	g.stopping = true
	for _, e := range g.waiting() {
		g.unqueue(e)
		g.setReason(e, flows.Stopping, "")
	}
	for _, s := range g.sessionsInOrder() {
		g.remove(s, flows.Stopping)
	}
}
