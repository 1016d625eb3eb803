package openflow

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// captured are messages that Open vSwitch 3.1 sent, in each of the three
// encodings; see TestCapture.
const captured = "testdata/messages.hex"

// captures returns them by version.
func captures(t testing.TB) map[Version][][]byte {
	t.Helper()
	f, err := os.Open(captured)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	found := map[Version][][]byte{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		b, err := hex.DecodeString(lines.Text())
		if err != nil || len(b) < headerLen {
			t.Fatalf("%s: %q: %v", captured, lines.Text(), err)
		}
		found[Version(b[0])] = append(found[Version(b[0])], b)
	}
	return found
}

// replay is a connection whose other side said all it will ever say.
type replay struct {
	net.Conn
	io.Reader
}

func (r replay) Read(b []byte) (int, error)       { return r.Reader.Read(b) }
func (r replay) Write(b []byte) (int, error)      { return len(b), nil }
func (r replay) SetReadDeadline(time.Time) error  { return nil }
func (r replay) SetDeadline(time.Time) error      { return nil }
func (r replay) SetWriteDeadline(time.Time) error { return nil }

// greeting is a bridge's part of a handshake.
func greeting(v Version) []byte {
	var b bytes.Buffer
	f := &fake{Conn: recording{Writer: &b}, r: bufio.NewReader(bytes.NewReader(nil)), v: v}
	f.greet(v)
	return b.Bytes()
}

type recording struct {
	net.Conn
	io.Writer
}

func (r recording) Write(b []byte) (int, error) { return r.Writer.Write(b) }

const fuzzPending = 16

// said returns what a handler would be told of these bytes after a handshake, and
// how the connection ends.
func said(v Version, b []byte) (*queue, error) {
	q := newQueue(fuzzPending)
	c := newConn(replay{Reader: bytes.NewReader(append(greeting(v), b...))}, Config{Timeout: time.Second, offer: known}, q)
	return q, c.run(c.handle)
}

func FuzzMessages(f *testing.F) {
	for v, messages := range captures(f) {
		f.Add(uint8(v), bytes.Join(messages, nil))
		for _, m := range messages {
			f.Add(uint8(v), m)
		}
	}
	f.Fuzz(func(t *testing.T, version uint8, b []byte) {
		q, err := said(OpenFlow10+Version(version)%6, b)
		var refused *Refusal
		if !errors.Is(err, ErrClosed) && !errors.Is(err, ErrProtocol) && !errors.As(err, &refused) {
			t.Errorf("ends with %v", err)
		}
		if told := q.take(false); len(told.changes) > fuzzPending {
			t.Errorf("%d changes wait", len(told.changes))
		}
	})
}

// FuzzHello is what comes before a version is agreed on.
func FuzzHello(f *testing.F) {
	f.Add([]byte("\x06\x00\x00\x08\x00\x00\x00\x01"))
	f.Add([]byte("\x06\x00\x00\x10\x00\x00\x00\x01\x00\x01\x00\x08\x00\x00\x00\x10"))
	f.Add([]byte("\x01\x01\x00\x0c\x00\x00\x00\x01\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		q := newQueue(fuzzPending)
		c := newConn(replay{Reader: bytes.NewReader(b)}, Config{Timeout: time.Second, offer: known}, q)
		if err := c.run(c.handle); err == nil {
			t.Error("no end")
		}
		if c.version != 0 && known&(1<<c.version) == 0 {
			t.Errorf("agreed on %v", c.version)
		}
	})
}

func FuzzMatch(f *testing.F) {
	for _, hexes := range []string{
		"000002000300000406020000000001000006020800000011080a000000ffffff0000000c0106000014020050",
		"80000004000000038000080602000000000180000a020800800019080a000000ffffff00800014010680001c020050",
		"800007 0c010000000000010000000000 80000a02 86dd 80003520 20010db8000000000000000000000001ffffffffffffffffffffffffffffffff",
		"ffff0008 4f4e4600 00000001 0001d308 00000020 00000020",
	} {
		b, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(hexes), []byte(" "), nil)))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var c Change
		err := c.narrow(b)
		if err != nil && !errors.Is(err, ErrProtocol) {
			t.Errorf("%v", err)
		}
		if c.Match.In != 0 || c.Match.Src != c.Match.Src.Masked() || c.Match.Dst != c.Match.Dst.Masked() {
			t.Errorf("%+v", c.Match)
		}
	})
}

// TestCaptured reads every captured message without an error.
func TestCaptured(t *testing.T) {
	for v, messages := range captures(t) {
		for _, m := range messages {
			if _, err := said(v, m); !errors.Is(err, ErrClosed) {
				t.Errorf("%v: %x: %v", v, m, err)
			}
		}
	}
}
