package flows

import (
	"strings"
	"testing"
)

func TestTupleText(t *testing.T) {
	for _, s := range []string{
		"tcp,10.0.0.1:40000,10.0.0.2:5201",
		"udp,[2001:db8::1]:1,[2001:db8::2]:65535",
		"esp,10.0.0.1,10.0.0.2",
		"gre,2001:db8::1,2001:db8::2",
		"250,10.0.0.1,10.0.0.2",
	} {
		tuple, err := ParseTuple(s)
		if err != nil || tuple.String() != s {
			t.Errorf("ParseTuple(%q) = %v, %v", s, tuple, err)
		}
		if back := tuple.Reverse().Reverse(); back != tuple {
			t.Errorf("%q reversed twice is %v", s, back)
		}
		if tuple.Reverse() == tuple {
			t.Errorf("%q is its own reverse", s)
		}
	}
}

func TestTupleRefusals(t *testing.T) {
	for s, want := range map[string]string{
		"":                                   "want PROTO",
		"tcp,10.0.0.1:1":                     "want PROTO",
		"tpc,10.0.0.1:1,10.0.0.2:2":          "protocol",
		"256,10.0.0.1,10.0.0.2":              "protocol",
		"tcp,10.0.0.1,10.0.0.2:2":            "source",
		"tcp,10.0.0.1:1,10.0.0.2:65536":      "destination",
		"esp,10.0.0.1:1,10.0.0.2":            "source",
		"udp,10.0.0.1:1,[2001:db8::1]:2":     "one address is IPv4",
		"tcp,10.0.0.1:1,10.0.0.2:2,10.0.0.3": "want PROTO",
	} {
		if _, err := ParseTuple(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseTuple(%q): %v, want an error with %q", s, err, want)
		}
	}
}

// FuzzParseTuple: what is accepted is valid and survives a round trip.
func FuzzParseTuple(f *testing.F) {
	f.Add("tcp,10.0.0.1:40000,10.0.0.2:5201")
	f.Add("esp,fe80::1%eth0,::ffff:10.0.0.2")
	f.Fuzz(func(t *testing.T, s string) {
		tuple, err := ParseTuple(s)
		if err != nil {
			return
		}
		again, err := ParseTuple(tuple.String())
		if !tuple.IsValid() || err != nil || again != tuple {
			t.Errorf("%q: %v, again %v, %v", s, tuple, again, err)
		}
	})
}
