package harness

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseEntry(t *testing.T) {
	addr := netip.MustParseAddr
	tests := []struct {
		name, line string
		want       Entry
	}{
		{"tcp",
			"ipv4     2 tcp      6 97 TIME_WAIT src=10.0.0.1 dst=10.0.0.2 sport=41000 dport=9000 packets=100 bytes=3005208 src=10.0.0.2 dst=10.0.0.1 sport=9000 dport=41000 packets=78 bytes=4064 [ASSURED] mark=3 zone=10 use=1 id=2546353308",
			Entry{Proto: "tcp", State: "TIME_WAIT", Timeout: 97, Status: []string{"ASSURED"}, Mark: 3, Zone: 10, ID: 2546353308,
				Orig:  Direction{addr("10.0.0.1"), addr("10.0.0.2"), 41000, 9000, 100, 3005208},
				Reply: Direction{addr("10.0.0.2"), addr("10.0.0.1"), 9000, 41000, 78, 4064}}},
		{"icmp's id is not the entry's",
			"ipv6     10 icmpv6   58 5 src=fd00::1 dst=fd00::2 type=128 code=0 id=339 packets=1 bytes=104 [UNREPLIED] src=fd00::2 dst=fd00::1 type=129 code=0 id=339 packets=0 bytes=0 mark=0 use=1 id=1954343379",
			Entry{Proto: "icmpv6", Timeout: 5, Status: []string{"UNREPLIED"}, ID: 1954343379,
				Orig:  Direction{Src: addr("fd00::1"), Dst: addr("fd00::2"), Packets: 1, Bytes: 104},
				Reply: Direction{Src: addr("fd00::2"), Dst: addr("fd00::1")}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseEntry(tt.line)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("parseEntry: %+v, %v\nwant %+v", got, err, tt.want)
			}
		})
	}
	for _, line := range []string{"", "conntrack v1.4.7 (conntrack-tools): 3 flow entries have been shown.", "ipv4 2 tcp 6 97 TIME_WAIT src=x dst=y id=1"} {
		if _, err := parseEntry(line); err == nil {
			t.Errorf("parseEntry(%q): no error", line)
		}
	}
}

func TestParseFilters(t *testing.T) {
	const text = `[{"protocol":"ip","pref":100,"kind":"flower","chain":0},
{"protocol":"ip","pref":100,"kind":"flower","chain":0,"options":{"handle":1,"keys":{"src_ip":"10.0.0.1","tcp_flags":"0x0/7"},"skip_hw":true,"not_in_hw":true,
"actions":[{"order":1,"kind":"mirred","to_dev":"p1","stats":{"bytes":70,"packets":7},"cookie":"aabb"}]}}]`
	filters, err := parseFilters("p0", text)
	if err != nil || len(filters) != 1 {
		t.Fatalf("parseFilters: %+v, %v; want one filter", filters, err)
	}
	f := filters[0]
	if f.Dev != "p0" || f.Pref != 100 || f.Handle != 1 || !f.SkipHW || f.InHW || f.Keys["src_ip"] != "10.0.0.1" ||
		f.Packets() != 7 || f.Bytes() != 70 || f.Cookie() != "aabb" || f.Actions[0].ToDev != "p1" {
		t.Errorf("parseFilters: %+v", f)
	}
	if f, err := parseFilters("p0", ""); f != nil || err != nil {
		t.Errorf("nothing: %v, %v", f, err)
	}
	if _, err := parseFilters("p0", "Error"); err == nil {
		t.Error("no JSON: no error")
	}
}

func TestParseMegaflows(t *testing.T) {
	const text = `recirc_id(0),in_port(rep-vm2),eth(src=fa:16:3e:00:00:02),eth_type(0x0800),ipv4(frag=no), packets:5, bytes:300, used:0.1s, flags:SFP., actions:ct(zone=10),recirc(0x1)
recirc_id(0x1),in_port(rep-vm2),eth_type(0x86dd), packets:0, bytes:0, used:never, actions:rep-vm1
`
	got := parseMegaflows(text)
	if len(got) != 2 {
		t.Fatalf("parseMegaflows: %+v, want two flows", got)
	}
	if f := got[0]; f.Packets != 5 || f.Bytes != 300 || f.Actions != "ct(zone=10),recirc(0x1)" || !strings.HasSuffix(f.Match, "ipv4(frag=no)") {
		t.Errorf("first flow: %+v", f)
	}
}

func TestParseIperf3(t *testing.T) {
	tests := []struct {
		name, report string
		want         IperfResult
		fails        bool
	}{
		{"tcp", `{"end":{"sum_sent":{"bytes":10,"bits_per_second":80,"retransmits":1},"sum_received":{"bytes":9}}}`, IperfResult{10, 9, 80, 1}, false},
		{"udp", `{"end":{"sum":{"bytes":10,"bits_per_second":80}}}`, IperfResult{10, 10, 80, 0}, false},
		{"error", `{"error":"unable to connect"}`, IperfResult{}, true},
		{"cut", `{"end":`, IperfResult{}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := parseIperf3([]byte(tt.report)); got != tt.want || (err != nil) != tt.fails {
				t.Errorf("parseIperf3: %+v, %v", got, err)
			}
		})
	}
}

func TestParseNICCounters(t *testing.T) {
	const text = "rules 2\nadds 3\ndels 1\nrefused 4\nfull 5\nhits 6\nmisses 7\ndropped 8\nnew_in_a_later_version 9\ncpu_ns 1500\ncpu_host_ns 700\n"
	want := NICCounters{Rules: 2, Adds: 3, Dels: 1, Refused: 4, Full: 5, Hits: 6, Misses: 7, Dropped: 8, CPU: 1500, HostCPU: 700}
	if got, err := parseNICCounters(text); got != want || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"", "rules 2\n", text[:len(text)-2] + "x"} {
		if got, err := parseNICCounters(bad); err == nil {
			t.Errorf("%q: %+v", bad, got)
		}
	}
}

func TestParseDevice(t *testing.T) {
	const table = "Inter-|   Receive   |  Transmit\n face |bytes packets errs drop\n    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\nrep-vm1: 100 2 0 0 0 0 0 0 300 4 0 0 0 0 0 0\n"
	if c, err := parseDevice(table, "rep-vm1"); err != nil || c != (DeviceCounters{100, 2, 300, 4}) || c.Bytes() != 400 {
		t.Errorf("%+v, %v", c, err)
	}
	for _, dev := range []string{"rep-vm2", "face |bytes packets errs drop"} {
		if c, err := parseDevice(table, dev); err == nil {
			t.Errorf("%q: %+v", dev, c)
		}
	}
}

func TestParseBusy(t *testing.T) {
	const stat = "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 1 20 300 99999 88888 4000 50000 7777 0 0\ncpu1 x 1 1 1 1 1 1 1 1 1\n"
	if busy, err := parseBusy(stat, 0); busy != 543010*time.Millisecond || err != nil {
		t.Errorf("%v, %v", busy, err)
	}
	for _, cpu := range []int{1, 2} {
		if busy, err := parseBusy(stat, cpu); err == nil {
			t.Errorf("%d: %v", cpu, busy)
		}
	}
}
