package check

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

const (
	netfilter = "proc/sys/net/netfilter/nf_conntrack_"
	stat      = "proc/thread-self/net/stat/nf_conntrack"
	statHead  = "entries  found invalid insert_failed drop early_drop\n"
)

var goodConntrack = map[string]string{
	netfilter + "acct": "1\n", netfilter + "events": "1\n", netfilter + "timestamp": "1\n",
	netfilter + "count": "1000\n", netfilter + "max": "262144\n", netfilter + "buckets": "65536\n",
	netfilter + "tcp_loose": "1\n", netfilter + "tcp_be_liberal": "0\n",
	netfilter + "tcp_timeout_established": "432000\n", netfilter + "tcp_timeout_unacknowledged": "300\n", netfilter + "udp_timeout_stream": "120\n",
	stat: statHead + "00000010  00000000 00000003 0000000a 00000000 00000000\n00000010  00000000 00000000 00000001 00000000 00000000\n",
}

func TestConntrack(t *testing.T) {
	good := map[string]string{
		"accounting": "ok accounting: net.netfilter.nf_conntrack_acct is 1",
		"events":     "ok events: net.netfilter.nf_conntrack_events is 1",
		"timestamps": "ok timestamps: net.netfilter.nf_conntrack_timestamp is 1",
		"table":      "ok table: 1000 entries of 262144",
		"buckets":    "ok buckets: 65536 for 262144 entries",
		"tcp pickup": "ok tcp pickup: tcp_loose 1, tcp_be_liberal 0: connections without a handshake are followed and never offloaded (midstream)",
		"timeouts":   "ok timeouts: tcp 432000 s (300 s with data in flight), udp 120 s",
		"losses":     "ok losses: dropped 0, dropped early 0, not inserted 11, since the boot",
	}
	order := []string{"accounting", "events", "timestamps", "table", "buckets", "tcp pickup", "timeouts", "losses"}
	for _, tt := range []struct {
		name, line, want string
		changes          []string
	}{
		{name: "good"},
		{"no accounting", "accounting", "fatal accounting: net.netfilter.nf_conntrack_acct is 0, must be 1", []string{netfilter + "acct", "0"}},
		{"automatic events", "events", "fatal events: net.netfilter.nf_conntrack_events is 2, must be 1", []string{netfilter + "events", "2"}},
		{"no timestamps", "timestamps", "warning timestamps: net.netfilter.nf_conntrack_timestamp is 0, should be 1", []string{netfilter + "timestamp", "0"}},
		{"no module", "events", "fatal events: net.netfilter.nf_conntrack_events does not exist: nf_conntrack is not loaded", []string{netfilter + "events", "none"}},
		{"nonsense", "events", `unknown events: /proc/sys/net/netfilter/nf_conntrack_events: strconv.ParseUint: parsing "x": invalid syntax`, []string{netfilter + "events", "x"}},
		{"80 %", "table", "warning table: 209716 entries of 262144", []string{netfilter + "count", "209716"}},
		{"95 %", "table", "fatal table: 249037 entries of 262144: it is full", []string{netfilter + "count", "249037"}},
		{"small", "table", "warning table: 1000 entries of 199999, for 100000 sessions (--capacity)", []string{netfilter + "max", "199999", netfilter + "buckets", "65536"}},
		{"no limit", "table", "ok table: 1000 entries of any number", []string{netfilter + "max", "0", netfilter + "buckets", "65536"}},
		{"long chains", "buckets", "warning buckets: 16384 for 262144 entries", []string{netfilter + "buckets", "16384"}},
		{"strict", "tcp pickup", "ok tcp pickup: tcp_loose 0, tcp_be_liberal 0: connections without a handshake are dropped", []string{netfilter + "tcp_loose", "0"}},
		{"short", "timeouts", "warning timeouts: net.netfilter.nf_conntrack_udp_timeout_stream is 19 s", []string{netfilter + "udp_timeout_stream", "19"}},
		{"evicted", "losses", "warning losses: dropped 0, dropped early 255, not inserted 0, since the boot", []string{stat, statHead + "1 2 3 0 0 ff\n"}},
		{"dropped", "losses", "warning losses: dropped 1, dropped early 0, not inserted 0, since the boot", []string{stat, statHead + "1 2 3 0 1 0\n"}},
		{"cut", "losses", "unknown losses: /proc/net/stat/nf_conntrack: 2 columns, 6 headings", []string{stat, statHead + "1 2\n"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := &node{root: files(with(goodConntrack, tt.changes...))}
			n.Capacity = 100_000
			var got, want []string
			for _, l := range []look{switches, usage, buckets, pickup, timeouts, losses} {
				got = append(got, says(t, n, l)...)
			}
			for _, name := range order {
				line := good[name]
				if name == tt.line {
					line = tt.want
				}
				want = append(want, line)
			}
			if tt.name == "small" {
				want[slices.Index(order, "buckets")] = "ok buckets: 65536 for 199999 entries"
			}
			if tt.name == "no limit" {
				want[slices.Index(order, "buckets")] = "ok buckets: 65536 for any number of entries"
			}
			wantLines(t, got, want...)
		})
	}
}

// What an agent demands at its start is what is checked.
func TestSwitchesAreThoseOfTheAgent(t *testing.T) {
	b, err := os.ReadFile("../conntrack/preflight.go")
	if err != nil {
		t.Fatal(err)
	}
	var demanded, checked []string
	for _, m := range regexp.MustCompile(`name: "nf_conntrack_(\w+)"(, advice: true)?`).FindAllStringSubmatch(string(b), -1) {
		demanded = append(demanded, m[1]+map[bool]string{true: " spare"}[m[2] != ""])
	}
	for _, s := range conntrackSwitches {
		checked = append(checked, s.key+map[bool]string{true: " spare"}[s.spare])
	}
	slices.Sort(demanded)
	slices.Sort(checked)
	if !slices.Equal(demanded, checked) {
		t.Errorf("an agent demands %q, checked are %q", demanded, checked)
	}
}
