package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/control"
)

// writeLook writes one page of top. before is the look before it, or nil.
func writeLook(w io.Writer, f *listFlags, before, now *look) error {
	st := &now.status
	fmt.Fprintf(w, "%s: flowshunt %s, %s, up %s; %s\n", readiness(st), clean(st.Version), modeText(st), span(st.Uptime), troubleText(st))
	fmt.Fprintf(w, "sessions: %s\n", sessionText(now))
	fmt.Fprintf(w, "tables: %s\n", tableText(st.Tables))
	fmt.Fprintf(w, "hardware: %s packets/s, %s B/s; slow path of those shown: %s B/s\n\n",
		perSecond(before, now, "offloaded_packets"), perSecond(before, now, "offloaded_bytes"), slowRate(before, now))
	return writeList(w, formatTable, f, sessionColumns(now.summary.Now), now.sessions)
}

// troubleText is the worst that show has to say.
func troubleText(st *control.Status) string {
	list := problems(st)
	switch len(list) {
	case 0:
		return "no problems"
	case 1:
		return "! " + clean(list[0])
	}
	return fmt.Sprintf("! %s (and %d more: flowshuntctl show)", clean(list[0]), len(list)-1)
}

func sessionText(now *look) string {
	s := fmt.Sprintf("%d, %d shown", now.summary.Matched, len(now.sessions))
	if n, told := now.stats["sessions/offloaded"]; told {
		s = fmt.Sprintf("%d offloaded, %s", n, s)
	}
	for _, b := range now.status.Budgets {
		if b.Limit > 0 && b.Unit == "sessions" {
			return fmt.Sprintf("%s; %d of %d possible", s, b.Used, b.Limit)
		}
	}
	return s
}

func tableText(tables []control.Table) string {
	var parts []string
	for _, t := range tables {
		s := fmt.Sprintf("%s %d rules", eswitchShown(t.Eswitch), t.Rules)
		if t.Believed > 0 {
			s = fmt.Sprintf("%s %d of %d rules", eswitchShown(t.Eswitch), t.Rules, t.Believed)
		}
		if t.Waiting > 0 {
			s += fmt.Sprintf(", %d waiting", t.Waiting)
		}
		parts = append(parts, s)
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, "; ")
}

func eswitchShown(id flows.EswitchID) string {
	if id == "" {
		return "software"
	}
	return "hardware " + clean(shortEswitch(id))
}

// perSecond tells how a counter grows; "-" where there is nothing to compare with, or the
// agent was started anew.
func perSecond(before, now *look, counter string) string {
	if before == nil {
		return "-"
	}
	a, told := before.stats[counter]
	b, still := now.stats[counter]
	if !told || !still || b < a {
		return "-"
	}
	return rateText(b-a, now.status.Now.Sub(before.status.Now))
}

func rateText(n uint64, in time.Duration) string {
	if in <= 0 {
		return "-"
	}
	return si(uint64(float64(n) / in.Seconds()))
}

// slowRate tells how much went the slow path, of the connections that both looks show.
func slowRate(before, now *look) string {
	if before == nil {
		return "-"
	}
	was := make(map[string]uint64)
	key := func(s *control.Session) string { return fmt.Sprint(s.Tuple, s.Zones) }
	for i := range before.sessions {
		was[key(&before.sessions[i])] = before.sessions[i].SlowBytes
	}
	var sum uint64
	for i := range now.sessions {
		s := &now.sessions[i]
		if n, both := was[key(s)]; both && s.SlowBytes > n {
			sum += s.SlowBytes - n
		}
	}
	return rateText(sum, now.status.Now.Sub(before.status.Now))
}
