package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/conntrack"
	"github.com/flowshunt/flowshunt/pkg/datapath"
	"github.com/flowshunt/flowshunt/pkg/dpctl"
	"github.com/flowshunt/flowshunt/pkg/megaflow"
	"github.com/flowshunt/flowshunt/pkg/tap"
)

// userspace is the type of the datapath that ovs-vswitchd itself is.
const userspace = "netdev"

// How much is known of connections of the userspace datapath, and how long.
const (
	maxTallied = 1 << 17
	tallyAge   = time.Minute
)

// userspaceConns are the connections of the userspace datapath. It has no counters for
// them: they are estimated from what taps sample, of packets that no rule of ours takes.
// Where the datapath tells of no reply (all but TCP), packets of both directions must
// have been seen. It is a table, as the kernel's is.
type userspaceConns struct {
	client *dpctl.Client
	seen   *tap.Tally
	relax  bool // the check of TCP sequence numbers may be turned off
	touch  func(ctx context.Context, entries []flows.EntryKey) error
	known  func() bool // which datapaths there are is known
	exists func() bool // there is such a datapath, as far as is known
	health *component

	mu     sync.Mutex
	past   map[flows.Tuple]flows.SessionID // packets that rules of ours take, as they come in
	names  names
	tuples map[flows.SessionID][]flows.Tuple
	aged   time.Time
}

func newUserspaceConns(client *dpctl.Client) *userspaceConns {
	return &userspaceConns{client: client, seen: &tap.Tally{Weight: sampleOne, Max: maxTallied},
		past: make(map[flows.Tuple]flows.SessionID), tuples: make(map[flows.SessionID][]flows.Tuple)}
}

// sighted takes a packet that came in at a port of the datapath.
func (u *userspaceConns) sighted(s *tap.Sighting) {
	if !u.passes(s.Tuple) {
		u.seen.Add(s)
	}
}

// passes reports whether rules of ours take packets that come in addressed by a tuple.
func (u *userspaceConns) passes(t flows.Tuple) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, ok := u.past[t]
	return ok
}

// arrived returns what was seen of packets that come to a zone addressed by a tuple, and
// whether rules of ours take them.
func (u *userspaceConns) arrived(t flows.Tuple) (count flows.Counters, past bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for name := range u.names.before(t) {
		if _, past = u.past[name]; past {
			return u.seen.Get(name), true
		}
		if count = u.seen.Get(name); count.Packets > 0 {
			return count, false
		}
	}
	return count, false
}

// installed says that rules take the packets of a session; none: they do not any more.
func (u *userspaceConns) installed(id flows.SessionID, rules []flows.Rule) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, t := range u.tuples[id] {
		if u.past[t] == id {
			delete(u.past, t)
		}
	}
	delete(u.tuples, id)
	for _, r := range rules {
		u.past[r.Tuple] = id
		u.tuples[id] = append(u.tuples[id], r.Tuple)
	}
}

// age is called at intervals.
func (u *userspaceConns) age() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if now := time.Now(); now.Sub(u.aged) >= tallyAge {
		u.aged = now
		u.seen.Age()
	}
}

// complete adds to an entry what the datapath does not tell.
func (u *userspaceConns) complete(e *flows.Entry) {
	var past [2]bool
	e.Count[flows.Orig], past[flows.Orig] = u.arrived(e.Key.Tuple)
	e.Count[flows.Reply], past[flows.Reply] = u.arrived(e.Reply)
	e.HasCount = true
	if e.Key.Tuple.Proto == flows.TCP {
		return
	}
	bothWays := e.Count[flows.Orig].Packets > 0 && e.Count[flows.Reply].Packets > 0
	if bothWays || past == [2]bool{true, true} {
		e.Status |= flows.StatusSeenReply | flows.StatusAssured
	}
}

// errTooEarly says that nobody knows yet whether there are entries to be read.
var errTooEarly = errors.New("the bridges are not known yet")

// Dump calls fn with the entries of both directions.
func (u *userspaceConns) Dump(ctx context.Context, fn func(*flows.Entry) error) error {
	if !u.known() {
		return errTooEarly
	}
	if !u.exists() {
		return nil
	}
	u.age()
	found := make(names)
	defer func() { u.rename(found) }()
	unread, err := u.client.Connections(ctx, nil, func(e *flows.Entry) error {
		found.add(e)
		if u.complete(e); !e.Status.Has(flows.StatusSeenReply) {
			return nil
		}
		return fn(e)
	})
	if err == nil && unread > 0 {
		err = fmt.Errorf("%d connections of the userspace datapath: %w", unread, dpctl.ErrFormat)
	}
	u.health.outcome(err)
	return err
}

// find calls fn with the entries of a zone, nil for all, whatever was seen of them.
func (u *userspaceConns) find(ctx context.Context, zone *flows.Zone, fn func(*flows.Entry) error) error {
	if !u.exists() {
		return nil
	}
	_, err := u.client.Connections(ctx, zone, func(e *flows.Entry) error {
		u.complete(e)
		return fn(e)
	})
	return err
}

// read returns those of the keys that there are.
func (u *userspaceConns) read(ctx context.Context, keys []flows.EntryKey) (map[flows.EntryKey]flows.Entry, error) {
	found := make(map[flows.EntryKey]flows.Entry, len(keys))
	for _, key := range keys {
		found[key] = flows.Entry{}
	}
	var zones []flows.Zone
	for _, key := range keys {
		if !slices.Contains(zones, key.Zone) {
			zones = append(zones, key.Zone)
		}
	}
	for _, zone := range zones {
		unread, err := u.client.Connections(ctx, &zone, func(e *flows.Entry) error {
			if _, asked := found[e.Key]; asked {
				u.complete(e)
				found[e.Key] = *e
			}
			return nil
		})
		if err == nil && unread > 0 {
			err = dpctl.ErrFormat // one that is missing may be among them
		}
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// Get implements table. A window that the datapath checks again is an error: whatever
// passed it by would be dropped when the rules are out.
func (u *userspaceConns) Get(ctx context.Context, keys []flows.EntryKey, f conntrack.Answer) error {
	found, err := u.read(ctx, keys)
	if err != nil {
		return err
	}
	for i, key := range keys {
		if e := found[key]; e.Key == key {
			f(i, &e, nil)
		} else {
			f(i, nil, conntrack.ErrNotFound)
		}
	}
	return nil
}

var errChecked = errors.New("the userspace datapath checks TCP sequence numbers, and would drop a connection that comes back from the eswitch: " +
	"ovs-appctl dpctl/ct-disable-tcp-seq-chk turns that off until ovs-vswitchd restarts, and --userspace-ct-liberal lets the agent do so")

var errUnwritable = errors.New("marks and labels of the userspace datapath cannot be written")

// Update implements table: it knows no flags of a connection, only those of all.
func (u *userspaceConns) Update(ctx context.Context, updates []conntrack.Update, f conntrack.Answer) error {
	liberal, err := u.liberal(ctx)
	if err != nil {
		return err
	}
	for i, update := range updates {
		switch {
		case update.TCP == (conntrack.TCPFlags{}):
			f(i, nil, errUnwritable)
		case update.Key.Tuple.Proto == flows.TCP && !liberal:
			f(i, nil, errChecked)
		default:
			f(i, nil, nil)
		}
	}
	return nil
}

// liberal reports whether any TCP packet of a connection passes, and makes it so where
// it may.
func (u *userspaceConns) liberal(ctx context.Context) (bool, error) {
	checks, err := u.client.ChecksTCPSequence(ctx)
	if err == nil && checks && u.relax {
		if err = u.client.StopCheckingTCPSequence(ctx); err == nil {
			checks, err = u.client.ChecksTCPSequence(ctx)
		}
	}
	return !checks, err
}

// touchBelow is when an entry needs a packet, in seconds: half of the shortest timeout
// of the datapath for what was answered, 30 s (lib/conntrack-tp.c).
const touchBelow = 15

var errExpires = errors.New("the entry of the userspace datapath needs a packet of the connection to live on")

// Refresh implements table. An entry is kept alive by a packet without content that is
// sent through conntrack, and nowhere else; not so of TCP, where the packet would have
// to be one of the connection: its entries last for a day, and then the session leaves
// for a while.
func (u *userspaceConns) Refresh(ctx context.Context, refreshes []conntrack.Refresh, f conntrack.Answer) error {
	keys := make([]flows.EntryKey, len(refreshes))
	for i, r := range refreshes {
		keys[i] = r.Key
	}
	found, err := u.read(ctx, keys)
	if err != nil {
		return err
	}
	var low []flows.EntryKey
	for key, e := range found {
		if e.Key == key && e.Timeout < touchBelow && key.Tuple.Proto != flows.TCP {
			low = append(low, key)
		}
	}
	if len(low) > 0 {
		if err := u.touch(ctx, low); err != nil {
			return err
		}
		if found, err = u.read(ctx, keys); err != nil {
			return err
		}
	}
	for i, key := range keys {
		switch e := found[key]; {
		case e.Key != key:
			f(i, nil, conntrack.ErrNotFound)
		case e.TCP.State.Closing():
			f(i, &e, conntrack.ErrClosing)
		case e.Timeout < touchBelow:
			f(i, &e, errExpires)
		default:
			f(i, &e, nil)
		}
	}
	return nil
}

// userspaceDatapath implements path.Datapath. It tells no flows: what they say is what
// the trace says, which alone has to do.
type userspaceDatapath struct{ client *dpctl.Client }

// Ports implements path.Datapath.
func (d userspaceDatapath) Ports(ctx context.Context) ([]datapath.Port, error) {
	numbers, err := d.client.Ports(ctx)
	ports := make([]datapath.Port, 0, len(numbers))
	for name, number := range numbers {
		ports = append(ports, datapath.Port{Name: name, Number: number})
	}
	return ports, err
}

// Flows implements path.Datapath.
func (d userspaceDatapath) Flows(context.Context) ([]megaflow.Flow, error) { return nil, nil }
