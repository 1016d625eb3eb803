package link

import (
	"fmt"
	"os/exec"
	"regexp"
	"testing"
)

// ethtool runs ethtool -k and returns the state of a feature in its words.
func ethtool(t *testing.T, device, feature string) string {
	t.Helper()
	out, err := exec.Command("ethtool", "-k", device).CombinedOutput()
	if err != nil {
		t.Skipf("missing: ethtool: %v %s", err, out)
	}
	line := regexp.MustCompile(fmt.Sprintf(`(?m)^\s*%s: (.*)$`, feature)).FindSubmatch(out)
	if line == nil {
		return "no such feature"
	}
	return string(line[1])
}

// What we read is what ethtool reads, for a device that lets the feature be switched,
// one that has it and does not, and one that does not have it.
func TestFeatures(t *testing.T) {
	w := watch(t, nil)
	port := device(t, "port")
	index := int32(port.Attrs().Index)
	for _, tt := range []struct {
		name, words string
		want        Offload
	}{
		{"tx-checksum-ip-generic", "on", On}, {"highdma", "on", On}, {"hw-tc-offload", "off [fixed]", Unsupported},
		{"tx-lockless", "on [fixed]", OnFixed},
	} {
		if words := ethtool(t, "port", tt.name); words != tt.words {
			t.Logf("%s: ethtool says %q", tt.name, words)
			continue // another kernel
		}
		f, err := openFeatures(sockets, tt.name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.close()
		one, err := f.get(index)
		if err != nil || one[index] != tt.want {
			t.Errorf("%s: %v, want %v (%v)", tt.name, one, tt.want, err)
		}
		all, err := f.get(0)
		if err != nil || all[index] != tt.want || len(all) < 3 {
			t.Errorf("%s of all: %v, want %v (%v)", tt.name, all, tt.want, err)
		}
	}
	if s := w.Snapshot()[index]; s.TC != Unsupported || s.Kind != "veth" || s.SwitchID != "" || s.PortName != "" {
		t.Errorf("a veth is %+v", s)
	}
	all, err := List()
	if s := all[index]; err != nil || s.Name != "port" || s.Kind != "veth" {
		t.Errorf("List: %+v, %v", s, err)
	}
	gone, err := w.features.get(1 << 20)
	if len(gone) != 0 || err != nil {
		t.Errorf("of a device that is not there: %v, %v", gone, err)
	}
}

// A feature that is switched by ethtool -K alone is noticed. Nothing of a veth that can
// be switched is about tc.
func TestFeatureSwitched(t *testing.T) {
	const name = "tx-checksum-ip-generic"
	w := watchFeature(t, nil, name)
	index := device(t, "port").Attrs().Index
	if words := ethtool(t, "port", name); words != "on" {
		t.Skipf("missing: a feature to switch: %s is %s", name, words)
	}
	wait(t, w, "on", index, func(s State, _ bool) bool { return s.TC == On })
	for _, off := range []Offload{Off, On, Off} {
		word := map[Offload]string{Off: "off", On: "on"}[off]
		if out, err := exec.Command("ethtool", "-K", "port", name, word).CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
		wait(t, w, word, index, func(s State, _ bool) bool { return s.TC == off })
	}
}

// What no notification tells is found by a look.
func TestRefresh(t *testing.T) {
	w := watch(t, nil)
	index := device(t, "port").Attrs().Index
	w.table.mu.Lock()
	delete(w.table.states, int32(index))
	w.table.mu.Unlock()
	w.Refresh()
	wait(t, w, "found again", index, func(_ State, ok bool) bool { return ok })
}
