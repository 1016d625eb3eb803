package check

import (
	"context"
	"fmt"
	"strings"
)

// bug is a mistake of kernel.org's releases that concerns rules as pkg/tc makes them. Left
// out are, among others, the inverted IPv6 addresses of ctnetlink's CTA_FILTER: Flowshunt
// does not use it.
type bug struct {
	name   string
	from   version   // zero: not known
	fixed  []version // the first release without it, by series; later series never had it
	broken string    // commit; empty: not known
	fix    string    // commit; empty: not known
	found  string
	why    string
}

var knownBugs = []bug{{
	name: "skip-sw", from: version{6, 10, 0}, fixed: []version{{6, 12, 13}, {6, 13, 2}},
	broken: "047f340b36fc", fix: "a12c76a03386",
	found: "inserts slowly, and may pass over software filters that share a preference with skip_sw ones",
	why:   "with mlx5 a third of the usual insertions per second; Flowshunt shares no preference, so only the rate concerns it",
}, {
	// Rules that rewrite headers use act_pedit, each an action of its own that is never
	// replaced. So Flowshunt does not bring the race about; who else changes actions may.
	name: "act_pedit", fixed: []version{{6, 6, 145}, {6, 12, 97}, {6, 18, 40}, {7, 1, 5}},
	found: "may have CVE-2026-72338: offloading a filter reads an act_pedit action that is replaced meanwhile beyond its end",
	why:   "rules that route or translate use act_pedit, but are never replaced: only somebody else who changes actions of tc can cause it",
}}

func (b *bug) in(v version) bool {
	if v.less(b.from) {
		return false
	}
	for _, f := range b.fixed {
		if v.series(f) {
			return v.less(f)
		}
	}
	return v.less(b.fixed[len(b.fixed)-1])
}

func bugs(_ context.Context, n *node) []Line {
	const name = "bugs"
	if n.kernel.version == (version{}) {
		return []Line{unknown(name, fmt.Errorf("the kernel's release is not known"))}
	}
	var lines []Line
	for i := range knownBugs {
		if b := &knownBugs[i]; b.in(n.kernel.version) {
			lines = append(lines, b.line(n.kernel))
		}
	}
	if len(lines) == 0 {
		return []Line{ok(name, "none known in %s", n.kernel.version)}
	}
	return lines
}

func (b *bug) line(k kernel) Line {
	var fixed []string
	for _, f := range b.fixed {
		fixed = append(fixed, f.String())
	}
	if b.fix == "" {
		l := unknown("bug "+b.name, fmt.Errorf("%s %s", k.version, b.found))
		return l.why("%s. Mended in %s; what other releases have it is not known", b.why, strings.Join(fixed, ", ")).
			fix("boot one of these or a newer kernel, or ask your vendor whether it is mended in yours")
	}
	return warning("bug "+b.name, "%s %s", k.version, b.found).
		why("%s. Broken by commit %s, mended by %s in %s; your vendor may have back-ported that",
			b.why, b.broken, b.fix, strings.Join(fixed, " and ")).
		fix("boot a newer kernel, or ask your vendor for commit " + b.fix)
}
