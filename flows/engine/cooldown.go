package engine

import (
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

const (
	// provenAfter is for how long rules stand that show that nothing is wrong with a connection.
	provenAfter = time.Minute
	// settledAfter is for how long they stand between two changes of its path that have
	// nothing to do with each other. Below, something moves to and fro, and the pause grows
	// each time, so that this does not keep the eswitch busy.
	settledAfter = 10 * time.Second
)

// stood returns for how long all rules of a session were there.
func (g *Engine) stood(s *session) time.Duration {
	if s.installedAt == 0 {
		return 0
	}
	return g.now.Sub(s.installedAt)
}

// coolDown lets an entry wait for its next attempt after a session of it has left whose
// rules have stood for so long. One that had rules and was found to go another way now has
// not failed: whatever is said of its old path, the new one is there in a moment.
func (e *entry) coolDown(s *session, stood time.Duration, now flows.Instant) {
	if stood > provenAfter {
		e.fails = 0
	}
	if stood >= settledAfter {
		e.moves = 0
	}
	pause := cooldown(s.cause, e.fails)
	switch {
	case s.refuted:
		pause = backoff(time.Second, e.moves, 30*time.Second)
		e.fails, e.moves = 0, min(e.moves+1, 16)
	case !planned(s.cause):
		e.fails = min(e.fails+1, 16)
	}
	e.notBefore = now.Add(pause)
}

// cooldown returns how long an entry waits after its session left for a cause, the
// longer the more often in a row it failed.
func cooldown(cause flows.Reason, fails uint8) time.Duration {
	if judged(cause) {
		return 0
	}
	switch cause {
	case flows.TableFull, flows.RateLimited, flows.EswitchReset:
		return 0
	case flows.Lifetime, flows.MACAgeing:
		return 50 * time.Millisecond // for some packets to take the slow path
	case flows.RulesGone:
		return 250 * time.Millisecond // nothing speaks against it; the next dump comes later than that
	case flows.PathUnknown, flows.PathAmbiguous, flows.PathChanged, flows.PathDoubted, flows.ZoneUnknown,
		flows.InspectorUnseen:
		return backoff(time.Second, fails, 30*time.Second)
	case flows.NotInHW:
		return backoff(time.Second, fails, 30*time.Second)
	case flows.UnsupportedOutputs, flows.PathDropped, flows.SGDenied, flows.SGUnknown, flows.PortUnbound, flows.PortMigrating,
		flows.InspectorDown:
		// OVS learns a station, or its flows come back after a restart, in a moment.
		return backoff(time.Second, fails, 10*time.Second)
	case flows.UnsupportedNAT, flows.UnsupportedVLAN, flows.UnsupportedRouted, flows.UnsupportedInternal, flows.UnsupportedPatch,
		flows.UnsupportedTunnel, flows.UnsupportedPortType, flows.UnsupportedDatapath, flows.UnsupportedBond,
		flows.UnsupportedHairpin, flows.UnsupportedGroup, flows.UnsupportedUpcall, flows.UnsupportedEswitch, flows.UnsupportedAction,
		flows.UnsupportedInspector, flows.SeqAdjusted:
		return backoff(5*time.Second, fails, time.Minute)
	case flows.NoHits, flows.Refused, flows.InstallFailed, flows.RelaxFailed, flows.KeepFailed:
		return backoff(5*time.Second, fails, 5*time.Minute)
	}
	return time.Second
}

// backoff returns base doubled n times, at most limit.
func backoff(base time.Duration, n uint8, limit time.Duration) time.Duration {
	return min(base<<min(n, 16), limit)
}

// judged reports whether a reason is only about what a connection is, by the word of policies:
// with each reading of its entry it is judged again.
func judged(r flows.Reason) bool {
	switch r {
	case flows.Mouse, flows.Inspecting, flows.PolicyInspect, flows.PolicyNone, flows.PolicyUnknown, flows.Reinspect:
		return true
	}
	return false
}

// planned reports whether a cause is no failure of anything.
func planned(cause flows.Reason) bool {
	return judged(cause) || cause == flows.Lifetime || cause == flows.MACAgeing || cause == flows.Displaced || atOnce(cause)
}
