package harness

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// SuricataRecord is a line of what Suricata records (EVE): what it dropped, what a rule
// matched, what it makes of a flow at its end. Fields that a kind has not are zero.
type SuricataRecord struct {
	Kind    string `json:"event_type"` // drop, alert, flow, anomaly
	Proto   string `json:"proto"`
	Src     string `json:"src_ip"`
	SrcPort uint16 `json:"src_port"`
	DstPort uint16 `json:"dest_port"`
	Flow    struct {
		State    string `json:"state"`
		Reason   string `json:"reason"` // timeout, shutdown, forced
		Action   string `json:"action"` // drop, pass
		ToServer uint64 `json:"pkts_toserver"`
		ToClient uint64 `json:"pkts_toclient"`
	} `json:"flow"`
	Drop struct {
		Reason string `json:"reason"` // "stream error", "stream midstream", "flow drop", "rules"
	} `json:"drop"`
	Alert struct {
		SID    int    `json:"signature_id"`
		Action string `json:"action"` // allowed, blocked
	} `json:"alert"`
	Anomaly struct {
		Event string `json:"event"` // stream.fin_out_of_window
	} `json:"anomaly"`
}

// Of says whether a record is of the TCP connection whose client has this port.
func (r SuricataRecord) Of(sport uint16) bool {
	return r.Proto == "TCP" && (r.SrcPort == sport || r.DstPort == sport)
}

// Records are those of the connection whose client has this port, in their order.
func (s *Suricata) Records(sport uint16) []SuricataRecord {
	s.t.Helper()
	f, err := os.Open(s.records())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	var all []SuricataRecord
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var r SuricataRecord
		if json.Unmarshal(lines.Bytes(), &r) == nil && r.Of(sport) { // else: being written
			all = append(all, r)
		}
	}
	return all
}

// Dropped are the reasons for which Suricata dropped packets of a connection, and how many.
func (s *Suricata) Dropped(sport uint16) map[string]int {
	s.t.Helper()
	reasons := map[string]int{}
	for _, r := range s.Records(sport) {
		if r.Kind == "drop" {
			reasons[r.Drop.Reason]++
		}
	}
	return reasons
}

// Counter is one of Suricata's own counters, e.g. "ips.blocked", 0 if it has never counted.
// They are as of its last second: wait for a value.
func (s *Suricata) Counter(name string) uint64 {
	s.t.Helper()
	counters, err := s.command("dump-counters")
	if err != nil {
		s.t.Fatalf("suricata: %v; its output:\n%s", err, tail(s.Output()))
	}
	for part := range strings.SplitSeq(name, ".") {
		var group map[string]json.RawMessage
		if json.Unmarshal(counters, &group) != nil {
			return 0
		}
		counters = group[part]
	}
	var n uint64
	_ = json.Unmarshal(counters, &n)
	return n
}

// Entered is how many packets came to its devices, probes included.
func (s *Suricata) Entered() (n uint64) {
	s.t.Helper()
	for _, dev := range suricataDevices {
		n += s.Namespace.Counters(s.t, dev).RxPackets
	}
	return n
}

// TCP is how many TCP packets it has counted itself of all that has passed so far. That takes
// some seconds: its threads are asked for what they counted every 3 s.
func (s *Suricata) TCP() (n uint64) {
	s.t.Helper()
	uptime := s.Counter("uptime")
	Within(s.t, commandLimit, "Suricata counts", func() error {
		n = s.Counter("decoder.tcp")
		if now := s.Counter("uptime"); now < uptime+5 {
			return fmt.Errorf("at %d s, since %d s", now, uptime)
		}
		return nil
	})
	return n
}

// command asks Suricata's socket, in the protocol of suricatasc: a greeting with a
// version, then JSON objects both ways.
func (s *Suricata) command(name string) (json.RawMessage, error) {
	conn, err := net.Dial("unix", filepath.Join(s.dir, "suricata.sock"))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(commandLimit))
	answers := json.NewDecoder(conn)
	var a struct {
		Return  string          `json:"return"`
		Message json.RawMessage `json:"message"`
	}
	for _, request := range []map[string]string{{"version": "0.2"}, {"command": name}} {
		if err := json.NewEncoder(conn).Encode(request); err != nil {
			return nil, err
		}
		if err := answers.Decode(&a); err != nil {
			return nil, err
		}
		if a.Return != "OK" {
			return nil, fmt.Errorf("%v: %s: %s", request, a.Return, a.Message)
		}
	}
	return a.Message, nil
}
