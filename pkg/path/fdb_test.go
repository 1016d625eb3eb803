package path

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

const heading = " port  VLAN  MAC                Age\n"

func TestParseFDB(t *testing.T) {
	table, err := ParseFDB(heading +
		"    1    10  02:00:00:00:00:0a   17\n" +
		"LOCAL     0  02:00:00:00:00:0b  static\n" +
		"65279  4095  02:00:00:00:00:0a    0\n")
	if err != nil || table.Len() != 3 {
		t.Fatalf("%+v, %v", table, err)
	}
	for _, test := range []struct {
		vlan uint16
		mac  flows.MAC
		want Station
		ok   bool
	}{
		{10, macA, Station{Ofport: 1, Age: 17}, true},
		{0, macB, Station{Ofport: LocalPort, Static: true}, true},
		{4095, macA, Station{Ofport: 65279}, true},
		{0, macA, Station{}, false},
		{10, macB, Station{}, false},
	} {
		if got, ok := table.Lookup(test.vlan, test.mac); got != test.want || ok != test.ok {
			t.Errorf("%s in VLAN %d: %+v, %t", test.mac, test.vlan, got, ok)
		}
	}
	if table, err := ParseFDB(heading); err != nil || table.Len() != 0 {
		t.Errorf("empty: %v, %v", table, err)
	}
	if _, ok := (*Table)(nil).Lookup(0, macA); ok || (*Table)(nil).Len() != 0 {
		t.Error("a nil table holds something")
	}
}

func TestParseFDBMalformed(t *testing.T) {
	good := "    1    10  02:00:00:00:00:0a   17\n"
	for name, text := range map[string]string{
		"nothing":        "",
		"no heading":     good,
		"other heading":  " port  VLAN  MAC                Age Name\n" + good,
		"cut":            heading + strings.TrimSuffix(good, "\n"),
		"empty line":     heading + "\n" + good,
		"more fields":    heading + "    1    10  02:00:00:00:00:0a   17 x\n",
		"fewer fields":   heading + "    1    10  02:00:00:00:00:0a\n",
		"port 0":         heading + "    0    10  02:00:00:00:00:0a   17\n",
		"port reserved":  heading + "65280    10  02:00:00:00:00:0a   17\n",
		"port negative":  heading + "   -1    10  02:00:00:00:00:0a   17\n",
		"port by name":   heading + "  vf0    10  02:00:00:00:00:0a   17\n",
		"VLAN 4096":      heading + "    1  4096  02:00:00:00:00:0a   17\n",
		"short MAC":      heading + "    1    10  02:00:00:00:00   17\n",
		"dashes in MAC":  heading + "    1    10  02-00-00-00-00-0a   17\n",
		"capital in MAC": heading + "    1    10  02:00:00:00:00:0A   17\n",
		"age negative":   heading + "    1    10  02:00:00:00:00:0a   -1\n",
		"age a word":     heading + "    1    10  02:00:00:00:00:0a   old\n",
		"twice":          heading + good + "    2    10  02:00:00:00:00:0a   17\n",
	} {
		if table, err := ParseFDB(text); err == nil {
			t.Errorf("%s: accepted as %+v", name, table)
		}
	}
}

func FuzzParseFDB(f *testing.F) {
	f.Add(heading)
	f.Add(heading + "    1    10  02:00:00:00:00:0a   17\nLOCAL     0  02:00:00:00:00:0b  static\n")
	f.Fuzz(func(t *testing.T, text string) {
		table, err := ParseFDB(text)
		if err != nil {
			return
		}
		if want := max(0, strings.Count(text, "\n")-1); table.Len() != want {
			t.Fatalf("%d stations, want %d, of %q", table.Len(), want, text)
		}
		for key, station := range table.stations {
			if key.vlan > 4095 || station.Ofport == 0 || station.Ofport > LocalPort {
				t.Fatalf("%+v: %+v", key, station)
			}
		}
	})
}

// callerFunc answers as OVS would.
type callerFunc func(ctx context.Context, method string, args ...string) (string, error)

func (f callerFunc) Call(ctx context.Context, method string, args ...string) (string, error) {
	return f(ctx, method, args...)
}

func TestFDBIsRemembered(t *testing.T) {
	var mu sync.Mutex
	asked := make(map[string]int)
	fail := false
	f := NewFDB(callerFunc(func(_ context.Context, method string, args ...string) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		asked[method+fmt.Sprint(args)]++
		if fail {
			return "", errors.New("no OVS")
		}
		return heading, nil
	}), time.Second)
	all := func(at flows.Instant) (failed int) {
		var wg sync.WaitGroup
		var errs sync.Map
		for i := range 1000 {
			wg.Go(func() {
				if _, err := f.Table(t.Context(), []string{"br0", "br1"}[i%2], at); err != nil {
					errs.Store(i, err)
				}
			})
		}
		wg.Wait()
		errs.Range(func(any, any) bool { failed++; return true })
		return failed
	}
	check := func(name string, wantFailed, wantAsked, failed int) {
		t.Helper()
		if failed != wantFailed || asked["fdb/show[br0]"] != wantAsked || asked["fdb/show[br1]"] != wantAsked {
			t.Errorf("%s: %d failed, asked %v", name, failed, asked)
		}
	}
	check("at first", 0, 1, all(now))
	check("a moment later", 0, 1, all(now.Add(time.Second-1)))
	fail = true
	check("a second later, no OVS", 1000, 2, all(now.Add(time.Second)))
	fail = false
	check("failure is remembered", 1000, 2, all(now.Add(time.Second)))
	check("two seconds later", 0, 3, all(now.Add(2*time.Second)))

	f.Retain(func(bridge string) bool { return bridge == "br1" })
	check("a bridge forgotten", 0, 3, func() int { asked["fdb/show[br0]"]--; return all(now.Add(2 * time.Second)) }())
}

// A caller that gives up does not spoil the answer for others.
func TestFDBCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := NewFDB(callerFunc(func(ctx context.Context, _ string, _ ...string) (string, error) {
		cancel()
		return heading, ctx.Err()
	}), time.Hour)
	if _, err := f.Table(ctx, "br0", now); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := f.Table(t.Context(), "br0", now); err != nil {
		t.Errorf("the next: %v", err)
	}
}
