package openflow

import (
	"bufio"
	"encoding/binary"
	"net"
	"path/filepath"
	"testing"
)

// fake is a bridge that a test plays: the socket of one connection.
type fake struct {
	net.Conn
	r *bufio.Reader
	v Version
}

// serve lets play be the bridge of one connection, and returns its socket.
func serve(t testing.TB, play func(*fake)) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "br0.mgmt")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		play(&fake{Conn: conn, r: bufio.NewReaderSize(conn, maxMessage+1)})
	}()
	return path
}

func (f *fake) send(kind uint8, xid uint32, body ...byte) {
	_, _ = f.Write(appendMessage(nil, f.v, kind, xid, body))
}

// await returns the next message of a kind; false: the connection ended.
func (f *fake) await(kind uint8) (message, bool) {
	for {
		m, size, err := peekMessage(f.r)
		if err != nil {
			return m, false
		}
		_, _ = f.r.Discard(size)
		if m.kind == kind {
			return m, true
		}
	}
}

// greet goes through the handshake.
func (f *fake) greet(v Version) {
	f.v = v
	f.send(typeHello, 1)
	f.confirm()
}

func (f *fake) confirm() {
	f.await(f.v.barrierRequest())
	f.send(f.v.multipartRequest()+1, xidMonitor, f.reply()...)
	f.send(f.v.barrierRequest()+1, xidBarrier)
}

// reply returns the body of a multipart reply with flow updates.
func (f *fake) reply(updates ...byte) []byte {
	m := monitorOf(f.v)
	b := binary.BigEndian.AppendUint16(nil, m.multipart)
	b = append(b, make([]byte, m.multipartStart-2)...)
	if m.vendor != 0 {
		b = binary.BigEndian.AppendUint32(b, m.vendor)
		b = binary.BigEndian.AppendUint32(b, m.subtype)
		b = append(b, make([]byte, 16-len(b))...)
	}
	return append(b, updates...)
}

func (f *fake) update(updates ...byte) { f.send(f.v.multipartRequest()+1, 0, f.reply(updates...)...) }

// wait returns when the other side is gone.
func (f *fake) wait() { f.await(255) }

var (
	addedStandard   = []byte("\x00\x20\x00\x01\x05\x00\x00\x00\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x09" + emptyMatch)
	abbrevStandard  = []byte{0, 8, 0, 4, 0, 0, 0, 9}
	pausedStandard  = []byte{0, 8, 0, 5, 0, 0, 0, 0}
	resumedStandard = []byte{0, 8, 0, 6, 0, 0, 0, 0}
)
