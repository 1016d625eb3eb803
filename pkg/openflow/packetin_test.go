package openflow

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// receive runs a receiver until the test ends, or stop is called.
func (b *bridge) receive(id uint16) (packets <-chan PacketIn, ended <-chan error) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	got, over, ready := make(chan PacketIn, 100), make(chan error, 1), make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		over <- Receiver{Socket: b.socket(), ID: id, Idle: 20 * time.Millisecond}.Receive(ctx, func() { close(ready) }, func(p PacketIn) {
			p.Frame = bytes.Clone(p.Frame)
			got <- p
		})
	}()
	b.t.Cleanup(func() {
		cancel()
		<-done
	})
	select {
	case <-ready:
	case err := <-over:
		b.t.Fatal(err)
	case <-time.After(patience):
		b.t.Fatal("not ready")
	}
	return got, over
}

func frameOf(n byte, size int) []byte {
	frame := make([]byte, size)
	copy(frame, []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, n, 0x88, 0xb5})
	return frame
}

// TestReceive: packets of a flow come with all that they have, to whoever has its id.
func TestReceive(t *testing.T) {
	b := newBridge(t)
	c := b.client()
	mine, _ := b.receive(7)
	others, _ := b.receive(0)
	mods := []FlowMod{
		{Cookie: 1 << 40, Match: Match{InPort: Local, SrcMAC: flows.MAC{2, 0, 0, 0, 0, 1}}, Actions: []Action{{Kind: Punt, Receiver: 7}}},
		{Cookie: 5, Match: Match{InPort: Local, SrcMAC: flows.MAC{2, 0, 0, 0, 0, 2}}, Actions: []Action{{Kind: Punt}}},
	}
	if err := c.Bundle(t.Context(), mods); err != nil {
		t.Fatal(err)
	}
	const table = 0xfffffff9 // OFPP_TABLE
	send := func(frames ...[]byte) {
		for _, f := range frames {
			errs := make([]error, 1)
			if err := c.Send(t.Context(), []PacketOut{{InPort: Local, Frame: f, Actions: []Action{{Kind: Output, Port: table}}}}, errs); err != nil || errs[0] != nil {
				t.Fatal(err, errs)
			}
		}
	}
	next := func(from <-chan PacketIn) PacketIn {
		t.Helper()
		select {
		case p := <-from:
			return p
		case <-time.After(patience):
			t.Fatal("no packet")
			return PacketIn{}
		}
	}
	send(frameOf(1, 60), frameOf(2, 60), frameOf(1, 1400))
	for _, size := range []int{60, 1400} {
		if p := next(mine); p.InPort != Local || p.Cookie != 1<<40 || !bytes.Equal(p.Frame, frameOf(1, size)) {
			t.Errorf("%+v", p)
		}
	}
	if p := next(others); p.Cookie != 5 {
		t.Errorf("%+v", p)
	}
	if len(mine)+len(others) > 0 {
		t.Error("somebody got more than one packet")
	}
}

// TestReceiveEnds: a receiver outlives silence, says when the bridge is gone, and why it never began.
func TestReceiveEnds(t *testing.T) {
	b := newBridge(t)
	_, ended := b.receive(7)
	select {
	case err := <-ended:
		t.Fatal("it ended in silence:", err)
	case <-time.After(200 * time.Millisecond):
	}
	b.Vsctl("del-br", "br0")
	select {
	case err := <-ended:
		if !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Error("it does not end")
	}
	none := func() { t.Error("it is ready") }
	if err := (Receiver{Socket: b.socket()}).Receive(t.Context(), none, nil); !errors.Is(err, ErrNotRunning) {
		t.Error(err)
	}
	b.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "protocols=OpenFlow10,OpenFlow13")
	if err := (Receiver{Socket: b.socket()}).Receive(t.Context(), none, nil); !errors.Is(err, ErrVersion) || !strings.Contains(err.Error(), "OpenFlow14") {
		t.Error(err)
	}
}

// FuzzPacketIn reads what a bridge could hand over.
func FuzzPacketIn(f *testing.F) {
	body := append(make([]byte, packetInLen), appendMatch(nil, &Match{InPort: 7})...)
	f.Add(append(append(body, 0, 0), frameOf(1, 60)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := parsePacketIn(b); err == nil && len(p.Frame) > len(b)-packetInLen-2 {
			t.Errorf("%d bytes of %d", len(p.Frame), len(b))
		}
	})
}
