package ofproto

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

var macA, macB = flows.MAC{2, 0, 0, 0, 0, 0xa}, flows.MAC{2, 0, 0, 0, 0, 0xb}

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
			if key.VLAN > 4095 || station.Ofport == 0 || station.Ofport > LocalPort {
				t.Fatalf("%+v: %+v", key, station)
			}
		}
	})
}

func mustFDB(t *testing.T, lines string) *Table {
	t.Helper()
	table, err := ParseFDB(heading + lines)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestMoved(t *testing.T) {
	before := mustFDB(t, "    1    10  02:00:00:00:00:0a   17\n    1     0  02:00:00:00:00:0b   17\n    1     0  02:00:00:00:00:0c   17\n")
	after := mustFDB(t, "    1    10  02:00:00:00:00:0a    0\n    2     0  02:00:00:00:00:0b    0\n    3     0  02:00:00:00:00:0d    0\n")
	want := []flows.MAC{macB, {2, 0, 0, 0, 0, 0xc}, {2, 0, 0, 0, 0, 0xd}}
	if got := Moved(before, after); !slices.Equal(got, want) {
		t.Errorf("moved %v, want %v", got, want)
	}
	if got := Moved(before, before); len(got) != 0 {
		t.Errorf("moved %v in the same table", got)
	}
	if got := Moved(nil, after); len(got) != 3 {
		t.Errorf("moved %v since there was none, want all", got)
	}
}

func TestOlderThan(t *testing.T) {
	table := mustFDB(t, "    1    10  02:00:00:00:00:0a   17\n    1     0  02:00:00:00:00:0b   16\n    1     0  02:00:00:00:00:0c  static\n")
	if got := table.OlderThan(16 * time.Second); !slices.Equal(got, []flows.MAC{macA}) {
		t.Errorf("%v, want %s alone", got, macA)
	}
}

const stats = `Statistics for bridge "br0":
  Current/maximum MAC entries in the table: 3/8192
  Current static MAC entries in the table : 1
  Total number of learned MAC entries     : 12
  Total number of expired MAC entries     : 4
  Total number of evicted MAC entries     : 5
  Total number of port moved MAC entries  : 6
`

func TestParseFDBStats(t *testing.T) {
	got, err := parseFDBStats(stats)
	if want := (FDBStats{Static: 1, Learned: 12, Expired: 4, Evicted: 5, Moved: 6, Current: 3}); got != want || err != nil {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	for name, text := range map[string]string{
		"nothing":    "",
		"cut":        stats[:len(stats)-20],
		"no maximum": strings.Replace(stats, "3/8192", "3", 1),
		"no number":  strings.Replace(stats, ": 12", ": many", 1),
		"twice":      stats + stats,
	} {
		if got, err := parseFDBStats(text); err == nil {
			t.Errorf("%s: accepted as %+v", name, got)
		}
	}
}

func FuzzParseFDBStats(f *testing.F) {
	f.Add(stats)
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := parseFDBStats(text); err != nil && got != (FDBStats{}) {
			t.Errorf("%+v with an error", got)
		}
	})
}
