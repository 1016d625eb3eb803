package cli

import (
	"bytes"
	"math"
	"testing"
	"time"
)

func TestSI(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0", 999: "999", 1000: "1.00k", 1234: "1.23k", 9994: "9.99k", 9996: "10.0k",
		99_940: "99.9k", 99_960: "100k", 999_499: "999k", 999_500: "1.00M", 93_234_567: "93.2M",
		math.MaxUint64: "18.4E",
	} {
		if got := si(n); got != want {
			t.Errorf("si(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 412 * time.Millisecond: "412ms", 59 * time.Second: "59s", 61 * time.Second: "1m1s",
		time.Hour: "1h0m", 26 * time.Hour: "1d2h", math.MaxInt64: "106751d23h",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%d) = %s, want %s", d, got, want)
		}
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain, Ünïcode":        "plain, Ünïcode",
		"\x1b[2J":               `\x1b[2J`,
		"a\nb\tc":               `a\nb\tc`,
		"right\u202eleft\u2028": `right\u202eleft\u2028`,
		"bad\xffbyte":           `bad\ufffdbyte`,
	} {
		if got := clean(in); got != want {
			t.Errorf("clean(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestCSVIsRFC4180(t *testing.T) {
	var b bytes.Buffer
	if err := writeCSV(&b, [][]string{{"a", "b"}, {"x,y", `say "no"`}}); err != nil {
		t.Fatal(err)
	}
	if want := "a,b\r\n\"x,y\",\"say \"\"no\"\"\"\r\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}
