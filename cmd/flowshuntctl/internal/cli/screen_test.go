package cli

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/control"
)

// pty returns a terminal, and what a person has at its other end (pty(7)).
func pty(t *testing.T) (person, terminal *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo terminal: %v", err)
	}
	t.Cleanup(func() { person.Close() })
	fd := int(person.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 5, Col: 20})
	}
	if err != nil {
		t.Fatal(err)
	}
	if terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Skipf("no pseudo terminal: %v", err)
	}
	t.Cleanup(func() { terminal.Close() })
	return person, terminal
}

// On a terminal pages fit, q ends, and the terminal is given back as it was.
func TestScreen(t *testing.T) {
	person, terminal := pty(t)
	before, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	ctx, quit := context.WithTimeout(t.Context(), 5*time.Second)
	defer quit()
	s := (&app{Env: Env{Stdin: terminal, Stdout: terminal}}).openScreen(quit)
	during, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err != nil || during.Lflag&(unix.ECHO|unix.ICANON) != 0 {
		t.Errorf("keys are shown, or wait for a line: %v", err)
	}
	if rows, columns := s.size(); rows != 5 || columns != 20 || !s.live() {
		t.Errorf("%d rows of %d", rows, columns)
	}
	page := "one\n" + strings.Repeat("é", 30) + "\n3\n4\n5\n6\n"
	if err := s.show([]byte(page), false); err != nil {
		t.Fatal(err)
	}
	if _, err := person.WriteString("xq"); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
	if ctx.Err() != context.Canceled {
		t.Error("q did not end it")
	}
	s.close()
	after, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err != nil || after.Lflag != before.Lflag {
		t.Errorf("modes %#x, were %#x: %v", after.Lflag, before.Lflag, err)
	}
	var shown strings.Builder
	for r := bufio.NewReader(person); !strings.HasSuffix(shown.String(), leaveScreen); {
		b, err := r.ReadByte()
		if err != nil {
			t.Fatal(err)
		}
		shown.WriteByte(b)
	}
	text := shown.String()
	want := toTop + "one" + clearLine + "\r\n" + strings.Repeat("é", 20) + clearLine + "\r\n3" + clearLine + "\r\n4" + clearLine + "\r\n" + clearBelow
	if text = strings.ReplaceAll(text, "\r\r\n", "\r\n"); text != enterScreen+want+leaveScreen {
		t.Errorf("shown %q", text)
	}
}

// Rates are those between two looks.
func TestLookRates(t *testing.T) {
	at := time.Unix(1000, 0)
	tuple := flows.Tuple{Proto: flows.UDP}
	one := func(at time.Time, packets, bytes, slow uint64) *look {
		return &look{
			status:   control.Status{Now: at, Ready: true},
			stats:    map[string]uint64{"offloaded_packets": packets, "offloaded_bytes": bytes, "sessions/offloaded": 3},
			sessions: []control.Session{{Tuple: tuple, SlowBytes: slow}},
			summary:  control.Summary{Matched: 7},
		}
	}
	for _, tt := range []struct {
		name        string
		before, now *look
		want        string
	}{
		{"the first", nil, one(at, 1, 2, 3), "hardware: - packets/s, - B/s; slow path of those shown: - B/s"},
		{"the next", one(at, 1000, 1000, 10), one(at.Add(2*time.Second), 5000, 3_001_000, 2010), "hardware: 2.00k packets/s, 1.50M B/s; slow path of those shown: 1.00k B/s"},
		{"another agent", one(at, 1000, 1000, 10), one(at.Add(time.Second), 5, 5, 5), "hardware: - packets/s, - B/s; slow path of those shown: 0 B/s"},
	} {
		var page strings.Builder
		if err := writeLook(&page, &listFlags{}, tt.before, tt.now); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(page.String(), tt.want+"\n") || !strings.Contains(page.String(), "sessions: 3 offloaded, 7, 1 shown\n") {
			t.Errorf("%s:\n%s", tt.name, page.String())
		}
	}
}
