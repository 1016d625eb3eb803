package e2e

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// A bridge whose flows change all the time keeps its elephant in hardware: what cannot
// concern it is not even asked about, and what might is answered in time.
func TestBusyBridge(t *testing.T) {
	during := 5 * time.Second
	if slow() {
		during = 20 * time.Second
	}
	w := harness.SwitchedPair(t)
	const metrics = "127.0.0.1:9474"
	// an emulated machine among others may take longer than the second that is usual
	r, c := startRunning(w, 47000, "--metrics-listen="+metrics, "--validate-within=5s")
	d := &drift{r, t, 47000, c}
	d.carried(w.A, w.B)
	of := w.OpenFlow("br0")
	for _, round := range []struct {
		name        string
		table       byte
		match       func(n uint32) [][]byte
		least, most float64 // validations per second
		slow        bool    // told only with FLOWSHUNT_SLOW
	}{
		{"other MACs and addresses", 0, func(n uint32) [][]byte {
			low := binary.BigEndian.AppendUint32(nil, n)
			return [][]byte{harness.OXM(harness.OXMBasic, harness.OXMEthDst, append([]byte{2, 0}, low...)...),
				harness.OXM(harness.OXMBasic, harness.OXMEthType, 8, 0), harness.OXM(harness.OXMBasic, harness.OXMIPv4Dst, 192, 0, 2, low[3])}
		}, 0, 1, false},
		{"a register", 5, func(n uint32) [][]byte {
			return [][]byte{harness.OXM(harness.OXMReg, 0, binary.BigEndian.AppendUint32(nil, n)...)}
		}, 2, 15, false},
		{"metadata", 6, func(n uint32) [][]byte {
			return [][]byte{harness.OXM(harness.OXMBasic, harness.OXMMetadata, binary.BigEndian.AppendUint64(nil, uint64(n))...)}
		}, 2, 15, true},
	} {
		if round.slow && !slow() {
			continue
		}
		handles, packets := d.handles(), w.Entry(r.filter...).Packets()
		before, cpu, began := validations(w, metrics), mainThread(w), time.Now()
		n := 0
		harness.Throughout(t, during, "changes", func() error {
			for due := int(time.Since(began).Seconds() * changesPerSecond); n < due; n++ {
				if match := round.match(uint32(n / 2)); n%2 == 0 {
					of.AddFlow(t, round.table, match...)
				} else {
					of.DelFlow(t, round.table, match...)
				}
			}
			return nil
		})
		took := time.Since(began).Seconds()
		rate := (validations(w, metrics) - before) / took
		t.Logf("%s: %.0f changes/s, %.1f validations/s, main thread of OVS %.0f %%", round.name, float64(n)/took, rate, 100*(mainThread(w)-cpu).Seconds()/took)
		if rate < round.least || rate > round.most {
			t.Errorf("%s: %.1f validations per second, want %v to %v", round.name, rate, round.least, round.most)
		}
		if now := d.handles(); !slices.Equal(now, handles) {
			t.Errorf("%s: rules %v, then %v", round.name, handles, now)
		}
		if n := w.Entry(r.filter...).Packets() - packets; n > 0 {
			t.Errorf("%s: conntrack saw %d packets", round.name, n)
		}
		if now := offloaded(w.World, r.tuple); now.ID != c.ID {
			t.Errorf("%s: session was %+v, is %+v", round.name, c, now)
		}
	}
	d.carried(w.A, w.B)
	r.arrives()
}

const changesPerSecond = 50

// handles are those of the elephant's rules, with their devices.
func (d *drift) handles() (list []string) {
	d.t.Helper()
	for _, r := range d.rules() {
		list = append(list, fmt.Sprintf("%s %d %#x", r.Dev, r.Pref, r.Handle))
	}
	return list
}

var validationsLine = regexp.MustCompile(`(?m)^flowshunt_validations_total\{.*\} (\S+)$`)

// validations is how many the agent has counted, whatever their result.
func validations(w *harness.Pair, listen string) (sum float64) {
	w.T.Helper()
	for _, m := range validationsLine.FindAllStringSubmatch(w.Run(w.T, "curl", "-sS", "-m", "20", "http://"+listen+"/metrics"), -1) {
		n, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			w.T.Fatal(err)
		}
		sum += n
	}
	return sum
}

// mainThread is the processor time of ovs-vswitchd's main thread, which translates
// traces and takes changes.
func mainThread(w *harness.Pair) time.Duration {
	w.T.Helper()
	pid, err := os.ReadFile(filepath.Join(w.Dir, "ovs-vswitchd.pid"))
	if err != nil {
		w.T.Fatal(err)
	}
	id := strings.TrimSpace(string(pid))
	stat, err := os.ReadFile(filepath.Join("/proc", id, "task", id, "stat"))
	if err != nil {
		w.T.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // the name may have spaces
	fields := strings.Fields(rest)
	const utime, stime, tick = 11, 12, 10 * time.Millisecond
	if len(fields) <= stime {
		w.T.Fatalf("stat: %q", stat)
	}
	var ticks int
	for _, f := range fields[utime : stime+1] {
		n, _ := strconv.Atoi(f)
		ticks += n
	}
	return time.Duration(ticks) * tick
}
