package representor

import (
	"testing"

	"github.com/flowshunt/flowshunt/pkg/devlink"
)

func TestParseName(t *testing.T) {
	for _, tt := range []struct {
		name string
		want Function
		text string
	}{
		{"p0", Function{Flavour: devlink.Physical}, "uplink p0"},
		{"p12", Function{Flavour: devlink.Physical, Number: 12}, "uplink p12"},
		{"p1s3", Function{Flavour: devlink.Physical, Number: 1}, "uplink p1"},
		{"pf0", Function{Flavour: devlink.PCIPF, HasPF: true}, "pf0"},
		{"pf1vf3", Function{Flavour: devlink.PCIVF, HasPF: true, PF: 1, VF: 3}, "pf1vf3"},
		{"c1pf0vf3", Function{Flavour: devlink.PCIVF, HasPF: true, VF: 3, Controller: 1, External: true}, "c1pf0vf3"},
		{"pf0sf88000", Function{Flavour: devlink.PCISF, HasPF: true, SF: 88000}, "pf0sf88000"},
		{"c2pf1sf7", Function{Flavour: devlink.PCISF, HasPF: true, PF: 1, SF: 7, Controller: 2, External: true}, "c2pf1sf7"},
		{"c1pf0", Function{Flavour: devlink.PCIPF, HasPF: true, Controller: 1, External: true}, "c1pf0"},
		{"pf0vf-1", Function{Flavour: devlink.PCIPF, HasPF: true}, "pf0"},
		{"3", Function{Flavour: devlink.PCIVF, VF: 3}, "vf3"},
	} {
		got, ok := parseName(tt.name)
		if !ok || got != tt.want || got.String() != tt.text {
			t.Errorf("%s: %+v, %t, %q", tt.name, got, ok, got)
		}
	}
	for _, name := range []string{
		"", "p", "pf", "vf0", "pf0vf", "pfvf0", "pf0vf0x", "pf0 vf0", "pf-1vf0", "p0s", "px", "c1p0", "c1", "pf0vf65536",
		"pf0vf99999999999999999999", "eth0", "pf0sf4294967296", "65536", "pf0s1", "p0vf1", "+1", "pf+0",
	} {
		if f, ok := parseName(name); ok {
			t.Errorf("%q was taken for %+v", name, f)
		}
	}
	if (Function{}).String() != "" {
		t.Error("what is not known has a name")
	}
}

func FuzzParseName(f *testing.F) {
	for _, s := range []string{"p0", "pf0vf3", "c1pf0sf7", "12", "pf0vf-1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if f, ok := parseName(s); ok && f.String() == "" {
			t.Errorf("%q became nothing: %+v", s, f)
		}
	})
}
