package harness

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"
)

// Controller speaks OpenFlow 1.3 with a bridge, for changes that come faster than
// ovs-ofctl can be started. Its methods are for one goroutine.
type Controller struct {
	conn  net.Conn
	write sync.Mutex // echoes are answered meanwhile
	ended chan error
	xid   uint32
}

// Of OpenFlow 1.3 (wire version 4).
const (
	ofVersion      = 4
	ofHello        = 0
	ofError        = 1
	ofEchoRequest  = 2
	ofEchoReply    = 3
	ofFlowMod      = 14
	ofBarrier      = 20
	ofBarrierReply = 21
)

// OXM classes and fields that stories match on.
const (
	OXMReg      = 0x0001 // class NXM_1: registers, by number
	OXMBasic    = 0x8000
	OXMMetadata = 2
	OXMEthDst   = 3
	OXMEthType  = 5
	OXMIPv4Dst  = 12
)

// OpenFlow connects to a bridge until the test ends.
func (w *World) OpenFlow(bridge string) *Controller {
	w.T.Helper()
	conn, err := net.Dial("unix", filepath.Join(w.Dir, bridge+".mgmt"))
	if err != nil {
		w.T.Fatal(err)
	}
	c := &Controller{conn: conn, ended: make(chan error, 1)}
	barriers := make(chan struct{}, 1)
	go func() { c.ended <- c.read(barriers) }()
	w.T.Cleanup(func() { _ = conn.Close() })
	c.send(w.T, ofHello, nil)
	c.send(w.T, ofBarrier, nil)
	select {
	case <-barriers:
	case err := <-c.ended:
		w.T.Fatal(err)
	}
	return c
}

func message(kind byte, xid uint32, body []byte) []byte {
	m := binary.BigEndian.AppendUint16([]byte{ofVersion, kind}, uint16(8+len(body)))
	return append(binary.BigEndian.AppendUint32(m, xid), body...)
}

func (c *Controller) send(t testing.TB, kind byte, body []byte) {
	t.Helper()
	select {
	case err := <-c.ended:
		t.Fatalf("OpenFlow: %v", err)
	default:
	}
	c.xid++
	c.write.Lock()
	defer c.write.Unlock()
	if _, err := c.conn.Write(message(kind, c.xid, body)); err != nil {
		t.Fatal(err)
	}
}

func (c *Controller) read(barriers chan<- struct{}) error {
	header := make([]byte, 8)
	for {
		if _, err := io.ReadFull(c.conn, header); err != nil {
			return err
		}
		body := make([]byte, max(int(binary.BigEndian.Uint16(header[2:]))-len(header), 0))
		if _, err := io.ReadFull(c.conn, body); err != nil {
			return err
		}
		switch header[1] {
		case ofError:
			return fmt.Errorf("refused: %x", body)
		case ofBarrierReply:
			barriers <- struct{}{}
		case ofEchoRequest:
			c.write.Lock()
			_, err := c.conn.Write(message(ofEchoReply, binary.BigEndian.Uint32(header[4:]), body))
			c.write.Unlock()
			if err != nil {
				return err
			}
		}
	}
}

// OXM is one field of a match.
func OXM(class uint16, field byte, value ...byte) []byte {
	return append(append(binary.BigEndian.AppendUint16(nil, class), field<<1, byte(len(value))), value...)
}

// AddFlow adds a flow without actions at priority 7; DelFlow deletes it.
func (c *Controller) AddFlow(t testing.TB, table byte, match ...[]byte) {
	t.Helper()
	c.flowMod(t, 0, table, match)
}

// DelFlow deletes what AddFlow has added.
func (c *Controller) DelFlow(t testing.TB, table byte, match ...[]byte) {
	t.Helper()
	c.flowMod(t, 4, table, match)
}

func (c *Controller) flowMod(t testing.TB, command, table byte, match [][]byte) {
	t.Helper()
	const anywhere = 1<<32 - 1
	be := binary.BigEndian
	b := make([]byte, 16) // cookie and its mask
	b = append(b, table, command, 0, 0, 0, 0)
	b = be.AppendUint16(b, 7)
	for range 3 { // no buffer, any port, any group
		b = be.AppendUint32(b, anywhere)
	}
	b = append(b, 0, 0, 0, 0)
	var fields []byte
	for _, f := range match {
		fields = append(fields, f...)
	}
	b = be.AppendUint16(be.AppendUint16(b, 1), uint16(4+len(fields)))
	b = append(b, fields...)
	b = append(b, make([]byte, (8-(4+len(fields))%8)%8)...)
	c.send(t, ofFlowMod, b)
}
