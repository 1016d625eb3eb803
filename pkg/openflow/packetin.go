package openflow

import (
	"cmp"
	"context"
	"encoding/binary"
	"net"
	"time"
)

// PacketIn is a packet that a flow handed over with Punt.
type PacketIn struct {
	InPort uint32 // the OpenFlow port where it came in
	Cookie uint64 // of the flow
	Frame  []byte // from the Ethernet header on; valid during the call that reports it
}

// Receiver says whose packets are wanted, and from which bridge.
type Receiver struct {
	Socket string // see SocketPath
	// ID is that of Action.Receiver. 0 is that of all who did not choose one, controllers
	// among them.
	ID uint16
	// Timeout is how long the bridge may take to answer, Idle the silence after which it is
	// asked. 0 means 5 s and 1 s.
	Timeout, Idle time.Duration
}

const (
	typePacketIn          = 10
	packetInLen           = 16 // of ofp_packet_in, before the match
	niciraSetControllerID = 20
)

// Receive calls ready when every packet will be told from then on, and told with each, until
// the connection or ctx ends, and returns why. Calls come one at a time; while one runs,
// packets wait in the bridge, which drops those that it has no room for. A bridge that does
// not allow OpenFlow 1.4 is ErrVersion.
func (r Receiver) Receive(ctx context.Context, ready func(), told func(PacketIn)) error {
	r.Timeout, r.Idle = cmp.Or(r.Timeout, defaultTimeout), cmp.Or(r.Idle, defaultIdle)
	var dialer net.Dialer
	sock, err := dialer.DialContext(ctx, "unix", r.Socket)
	if err != nil {
		return reachError(err)
	}
	defer sock.Close()
	stop := context.AfterFunc(ctx, func() { sock.Close() })
	defer stop()
	c := &receiving{
		conn:  newConn(sock, Config{Timeout: r.Timeout, Idle: r.Idle, offer: 1 << writing}, nil),
		id:    r.ID,
		begun: ready, told: told,
	}
	err = c.run(c.take)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// receiving is a connection that packets come by.
type receiving struct {
	*conn
	id    uint16
	begun func()
	told  func(PacketIn)
}

// take acts on one message.
func (c *receiving) take(m message) error {
	switch {
	case m.kind == typeError && c.version == 0:
		return parseError(0, m.body)
	case m.kind == typeError:
		return parseRequestError(m.body)
	case c.version == 0:
		return c.greet(m)
	}
	switch m.kind {
	case typeEchoRequest:
		return c.send(appendMessage(nil, c.version, typeEchoReply, m.xid, m.body))
	case writing.barrierRequest() + 1:
		if m.xid == xidBarrier && !c.ready {
			c.ready = true
			c.begun()
		}
	case typePacketIn:
		p, err := parsePacketIn(m.body)
		if err != nil {
			return err
		}
		c.told(p)
	}
	return nil
}

// greet takes the bridge's HELLO and asks for packets of the id, and for nothing else.
func (c *receiving) greet(m message) error {
	if m.kind != typeHello {
		return malformed("no hello")
	}
	v, err := negotiate(m, 1<<writing)
	if err != nil {
		return err
	}
	c.version = v
	body := binary.BigEndian.AppendUint32(nil, vendorNicira)
	body = binary.BigEndian.AppendUint32(body, niciraSetControllerID)
	body = binary.BigEndian.AppendUint16(append(body, 0, 0, 0, 0, 0, 0), c.id)
	b := appendMessage(nil, v, typeExperimenter, xidMonitor, body)
	b = appendMessage(b, v, typeSetAsync, xidAsync, asyncProperties(packetReasons, 0, 0))
	return c.send(appendMessage(b, v, v.barrierRequest(), xidBarrier, nil))
}

// parsePacketIn reads the body of an OFPT_PACKET_IN. The frame aliases it.
func parsePacketIn(b []byte) (PacketIn, error) {
	if len(b) < packetInLen {
		return PacketIn{}, malformed("packet")
	}
	p := PacketIn{Cookie: binary.BigEndian.Uint64(b[8:])}
	var match Match
	rest, err := parseMatch(b[packetInLen:], &match)
	if err != nil {
		return PacketIn{}, err
	}
	if len(rest) < 2 {
		return PacketIn{}, malformed("frame of a packet")
	}
	p.InPort, p.Frame = match.InPort, rest[2:]
	return p, nil
}
