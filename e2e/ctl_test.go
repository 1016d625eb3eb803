package e2e

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

type check struct{ Name, Result, Detail string }

// explanation is what flowshuntctl why says.
type explanation struct {
	Offloaded bool
	Reason    string
	Checks    []check
	Entries   []struct {
		Zone                            uint16
		Session, State, Verdict, Reason string
		Followed                        bool
		Checks                          []check
	}
}

// eligible are the checks on a conntrack entry, in order.
var eligible = []string{
	"entry valid", "protocol", "not closing", "established", "reply seen", "assured", "not denied by the CMS",
	"no master connection", "no helper", "sequence numbers untouched", "not in the kernel's flowtable", "counters",
	"translation", "mark permits", "handshake seen",
}

// results are the checks as name=result; those that are ok may be left out of
// the expectation.
func results(checks []check) (names, notOK []string) {
	for _, c := range checks {
		names = append(names, c.Name)
		if c.Result != "ok" {
			notOK = append(notOK, c.Name+"="+c.Result)
		}
	}
	return names, notOK
}

func why(w *harness.World, tuple string, code int) explanation {
	w.T.Helper()
	out, got := tryCtl(w, "why", tuple, "--format=json")
	var x explanation
	if err := json.Unmarshal([]byte(out), &x); err != nil || got != code {
		w.T.Fatalf("why %s: status %d, want %d; %v in %s", tuple, got, code, err, out)
	}
	if names, bad := results(x.Checks); !slices.Equal(names, []string{"mode enforce", "ready"}) || bad != nil {
		w.T.Errorf("why %s: of the agent %+v", tuple, x.Checks)
	}
	return x
}

// explains checks the one entry of an explanation: its end, and every check.
func explains(w *harness.World, tuple string, code int, state, reason string, more, notOK []string) {
	w.T.Helper()
	x := why(w, tuple, code)
	if len(x.Entries) != 1 || x.Offloaded != (code == 0) {
		w.T.Fatalf("why %s: %+v", tuple, x)
	}
	e := x.Entries[0]
	if e.State != state || e.Reason != reason || !e.Followed || e.Zone != harness.PairZone || (e.Session != "") != (code == 0) {
		w.T.Errorf("why %s: %+v, want %s for %s", tuple, e, state, reason)
	}
	names, bad := results(e.Checks)
	if want := append(slices.Clone(eligible), more...); !slices.Equal(names, want) {
		w.T.Errorf("why %s: checks %q, want %q", tuple, names, want)
	}
	if !slices.Equal(bad, notOK) {
		w.T.Errorf("why %s: not ok are %q, want %q", tuple, bad, notOK)
	}
}

// table reads csv into one map for each line.
func table(t testing.TB, text string) []map[string]string {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(rows) == 0 {
		t.Fatalf("%v in %q", err, text)
	}
	var list []map[string]string
	for _, row := range rows[1:] {
		line := map[string]string{}
		for i, cell := range row {
			line[rows[0][i]] = cell
		}
		list = append(list, line)
	}
	return list
}

// What flowshuntctl says of a node with an elephant, a mouse and one that must
// never be offloaded is so, in every format.
func TestCtl(t *testing.T) {
	w := harness.SwitchedPair(t)
	startAgent(w.World, append(modest, "--mark-never="+markNever)...)
	w.B.Listen(t, "tcp", 9000, true)
	mouse, never := dial(w, "tcp", false, 48001), dial(w, "tcp", false, 48002)
	mouse.Do(1, "chat 50")
	never.Do(1, "chat 50")
	becomes(w.World, patience, never.tuple, "following", "mouse")
	mark(w.World, never, markNever)
	never.Do(1, "stop")
	never.Do(1, fmt.Sprintf("send %d %d", endless, paced))
	elephant := elephantFlow(w, "tcp", 48000)
	c := offloaded(w.World, elephant.tuple)
	becomes(w.World, patience, never.tuple, "following", "mark-never")
	becomes(w.World, patience, mouse.tuple, "following", "mouse")

	t.Run("why", func(t *testing.T) { ctlWhy(on(w, t), elephant.tuple, mouse.tuple, never.tuple) })
	t.Run("sessions", func(t *testing.T) { ctlSessions(on(w, t), c, mouse.tuple, never.tuple) })
	t.Run("show", func(t *testing.T) { ctlShow(on(w, t)) })
	t.Run("stats", func(t *testing.T) { ctlStats(on(w, t)) })
}

// on is the same world for a part of a story.
func on(w *harness.Pair, t *testing.T) *harness.World {
	part := *w.World
	part.T = t
	return &part
}

func ctlWhy(w *harness.World, elephant, mouse, never string) {
	session := []string{"followed", "worth an entry", "path", "rules installed", "read again after"}
	explains(w, elephant, 0, "offloaded", "elephant", session, nil)
	without := []string{"followed", "worth an entry", "path", "path known"}
	explains(w, mouse, 1, "following", "mouse", without, []string{"worth an entry=failed", "path=not-reached"})
	explains(w, never, 1, "following", "mark-never", without, []string{"mark permits=failed", "path=not-reached"})

	nobody := "tcp,10.0.0.1:1,10.0.0.2:2"
	if x := why(w, nobody, 1); x.Offloaded || x.Reason != "gone" || len(x.Entries) != 0 {
		w.T.Errorf("why %s: %+v", nobody, x)
	}
	text, _ := tryCtl(w, "why", nobody)
	mustMatch(w.T, text, `^tcp 10\.0\.0\.1:1 -> 10\.0\.0\.2:2 is NOT OFFLOADED: gone\n`)
	text, _ = tryCtl(w, "why", elephant)
	mustMatch(w.T, text, `:48000 -> 10\.0\.0\.2:9000 \(zone 10\) is OFFLOADED: elephant\n`, `\n    ok +established +ESTABLISHED`)
	text, _ = tryCtl(w, "why", never)
	mustMatch(w.T, text, `is NOT OFFLOADED: mark-never\n`, `\n    FAILED +mark permits +mark 0x20`)
	text, _ = tryCtl(w, "why", mouse, "--format=csv")
	lines := table(w.T, text)
	i := slices.IndexFunc(lines, func(l map[string]string) bool { return l["check"] == "worth an entry" })
	if last := lines[len(lines)-1]; i < 0 || lines[i]["result"] != "failed" || last["check"] != "verdict" || last["result"] != "inspect:mouse" {
		w.T.Errorf("why as csv: %q", lines)
	}
	// asked for in the other direction it is the same connection
	reply := strings.Split(elephant, ",")
	reply[1], reply[2] = reply[2], reply[1]
	text, code := tryCtl(w, "why", strings.Join(reply, ","))
	mustMatch(w.T, text, `is OFFLOADED: elephant\n`, `opened from the other end than asked`)
	if code != 0 {
		w.T.Errorf("why with the reply's tuple: status %d", code)
	}
}

func ctlSessions(w *harness.World, c connection, mouse, never string) {
	lines := table(w.T, ctl(w, "sessions", "--format=csv"))
	if len(lines) != 1 {
		w.T.Fatalf("sessions: %q", lines)
	}
	for key, want := range map[string]string{
		"id": c.ID, "tuple": c.Tuple, "state": "offloaded", "verdict": "offload", "reason": "elephant", "zones": "10",
		"in_port": "rep-vm1", "out_port": "rep-vm2", "src_port": "48000", "dst_port": "9000",
	} {
		if got := lines[0][key]; got != want {
			w.T.Errorf("sessions: %s is %q, want %q", key, got, want)
		}
	}
	for _, key := range []string{"rate_bytes_per_second", "slow_path_bytes", "offloaded_orig_packets", "offloaded_reply_packets"} {
		if got := lines[0][key]; got == "" || got == "0" {
			w.T.Errorf("sessions: %s is %q", key, got)
		}
	}
	reasons := map[string]string{}
	for _, c := range connections(w) {
		reasons[c.Tuple] = c.Reason
	}
	if reasons[mouse] != "mouse" || reasons[never] != "mark-never" {
		w.T.Errorf("sessions --all: %v", reasons)
	}
	mustMatch(w.T, ctl(w, "sessions", "--all"), `(?m)^STATE +REASON +CONNECTION`, `(?m)^offloaded +elephant +tcp 10\.0\.0\.1:48000 -> `,
		`(?m)^following +mouse +tcp 10\.0\.0\.1:48001 -> `, `(?m)^following +mark-never +tcp 10\.0\.0\.1:48002 -> `)
}

func ctlShow(w *harness.World) {
	mustMatch(w.T, ctl(w, "show"), `^READY: flowshunt .*, mode enforce, up \S+\nno problems\n`, `(?m)^ovsdb +ok`, `(?m)^conntrack-dump +ok`,
		`(?m)^sessions +sessions +1 +100000`, `(?m)^rep-vm1 +br0 +yes +- +1 `, `last full read of conntrack: \d+ entries in `)
	var doc struct {
		Ready      bool
		Mode       string
		Problems   []string
		Components []struct{ Name, Health string }
		Ports      []struct {
			Name, Bridge, Reason string
			Usable               bool
			Sessions             int
		}
	}
	if err := json.Unmarshal([]byte(ctl(w, "show", "--format=json")), &doc); err != nil {
		w.T.Fatal(err)
	}
	if !doc.Ready || doc.Mode != "enforce" || len(doc.Components) == 0 {
		w.T.Errorf("show: %+v", doc)
	}
	for _, c := range doc.Components {
		if c.Health != "ok" {
			w.T.Errorf("show: %+v", c)
		}
	}
	usable := map[string]int{}
	for _, p := range doc.Ports {
		if p.Usable {
			usable[p.Name] = p.Sessions
		} else if p.Name != "br0" || p.Reason == "" {
			w.T.Errorf("show: port %+v", p)
		}
	}
	if len(usable) != 2 || usable["rep-vm1"] != 1 || usable["rep-vm2"] != 1 {
		w.T.Errorf("show: usable ports and their sessions: %v", usable)
	}
	value := map[string]string{}
	for _, line := range table(w.T, ctl(w, "show", "--format=csv")) {
		value[line["section"]+" "+line["name"]+" "+line["property"]] = line["value"]
	}
	if value["agent  ready"] != "true" || value["port rep-vm2 usable"] != "true" || value["budget sessions used"] != "1" {
		w.T.Errorf("show as csv: %q", value)
	}
}

func ctlStats(w *harness.World) {
	var list []struct {
		Name   string
		Labels map[string]string
		Value  uint64
	}
	if err := json.Unmarshal([]byte(ctl(w, "stats", "--format=json")), &list); err != nil {
		w.T.Fatal(err)
	}
	value := map[string]uint64{}
	for _, s := range list {
		value[fmt.Sprint(s.Name, s.Labels)] = s.Value
	}
	for key, want := range map[string]uint64{
		"installsmap[]": 1, "installs_failedmap[]": 0, "removals_failedmap[]": 0, "sessionsmap[state:offloaded]": 1,
		"connectionsmap[reason:elephant]": 1, "connectionsmap[reason:mark-never]": 1,
	} {
		if got, ok := value[key]; !ok || got != want {
			w.T.Errorf("stats: %s is %d, want %d", key, got, want)
		}
	}
	for _, key := range []string{"offloaded_bytesmap[]", "offloaded_packetsmap[]", "dumpsmap[]", "tap_sightingsmap[]", "connectionsmap[reason:mouse]"} {
		if value[key] == 0 {
			w.T.Errorf("stats: %s is 0", key)
		}
	}
	mustMatch(w.T, ctl(w, "stats"), `(?m)^connections +reason=mark-never +1$`, `(?m)^installs +- +1$`)
	for _, line := range table(w.T, ctl(w, "stats", "--format=csv")) {
		if line["name"] == "installs" && line["value"] != "1" {
			w.T.Errorf("stats as csv: %q", line)
		}
	}
}
