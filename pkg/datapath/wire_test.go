package datapath

import (
	"context"
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/megaflow"
)

// fake is a kernel that has families 21, 22 and 23, one datapath, and answers to
// dumps as the test says.
type fake struct {
	t       *testing.T
	dumps   [][]answer // one after the other
	none    bool       // no module
	gone    bool       // no datapath
	waiting [][]byte
	closed  bool
}

// answer is one message of a dump.
type answer struct {
	flags      uint16
	attributes []byte
	status     int32 // not 0: the end of the dump instead
}

func (f *fake) send(b []byte) error {
	seq, typ := native.Uint32(b[8:]), native.Uint16(b[4:])
	if len(f.waiting) > 0 {
		f.t.Error("a request while answers to another wait")
	}
	switch {
	case f.none:
		f.fail(seq, unix.ENOENT)
	case typ == genlControl:
		id := map[string]uint16{"ovs_datapath": 21, "ovs_vport": 22, "ovs_flow": 23}[cstring(b[24:])]
		f.put(seq, typ, 0, append([]byte{1, 2, 0, 0}, 6, 0, genlFamilyID, 0, byte(id), 0, 0, 0))
	case typ == 21 && f.gone:
		f.fail(seq, unix.ENODEV)
	case typ == 21:
		f.put(seq, typ, 0, []byte{cmdGet, 2, 0, 0, 7, 0, 0, 0})
	default:
		if got := native.Uint32(b[nlHeader+genlHeader:]); got != 7 {
			f.t.Errorf("dump of datapath %d", got)
		}
		for _, a := range f.dumps[0] {
			if a.status != 0 {
				f.put(seq, unix.NLMSG_DONE, a.flags|unix.NLM_F_MULTI, native.AppendUint32(nil, uint32(a.status)))
				continue
			}
			f.put(seq, typ, a.flags|unix.NLM_F_MULTI, append([]byte{1, 1, 0, 0, 7, 0, 0, 0}, a.attributes...))
		}
		if n := len(f.dumps[0]); n == 0 || f.dumps[0][n-1].status == 0 {
			f.put(seq, unix.NLMSG_DONE, unix.NLM_F_MULTI, make([]byte, 4))
		}
		f.dumps = f.dumps[1:]
	}
	return nil
}

func cstring(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}

func (f *fake) fail(seq uint32, errno unix.Errno) {
	f.put(seq, unix.NLMSG_ERROR, 0, append(native.AppendUint32(nil, uint32(-int32(errno))), make([]byte, nlHeader)...))
}

func (f *fake) put(seq uint32, typ, flags uint16, payload []byte) {
	b := native.AppendUint32(nil, uint32(nlHeader+len(payload)))
	b = native.AppendUint16(b, typ)
	b = native.AppendUint16(b, flags)
	b = native.AppendUint32(b, seq)
	f.waiting = append(f.waiting, append(append(b, 0, 0, 0, 0), payload...))
}

func (f *fake) receive(b []byte) (int, error) {
	if len(f.waiting) == 0 {
		return 0, ErrNoAnswer
	}
	n := copy(b, f.waiting[0])
	f.waiting = f.waiting[1:]
	return n, nil
}

func (f *fake) close() error { f.closed = true; return nil }

func dial(t *testing.T, f *fake) *Conn {
	t.Helper()
	f.t = t
	c, err := open(f, "ovs-system")
	must(t, err)
	return c
}

func flow(port uint32) answer {
	return answer{attributes: attr(flowKey, attr(keyInPort, u32(port)), attr(keyEthernet, make([]byte, 12)))}
}

func attr(typ uint16, values ...[]byte) []byte {
	b := []byte{0, 0, byte(typ), 0}
	for _, v := range values {
		b = append(b, v...)
	}
	native.PutUint16(b, uint16(len(b)))
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func u32(v uint32) []byte { return native.AppendUint32(nil, v) }

func TestOpenWithoutModule(t *testing.T) {
	if _, err := open(&fake{t: t, none: true}, "ovs-system"); !errors.Is(err, ErrNoDatapath) || !errors.Is(err, unix.ENOENT) {
		t.Error(err)
	}
}

func TestNoDatapath(t *testing.T) {
	c := dial(t, &fake{gone: true})
	if _, err := c.Flows(t.Context()); !errors.Is(err, ErrNoDatapath) {
		t.Error(err)
	}
}

// TestDumps: interruptions, refusals and their traces in the next request.
func TestDumps(t *testing.T) {
	odd := flow(2)
	odd.flags = unix.NLM_F_DUMP_INTR
	broken := answer{attributes: attr(flowStats, u32(1))}
	for _, test := range []struct {
		name  string
		dumps [][]answer
		want  int
		err   error
	}{
		{"plain", [][]answer{{flow(1), flow(2)}}, 2, nil},
		{"empty", [][]answer{nil}, 0, nil},
		{"interrupted once", [][]answer{{flow(1), odd}, {flow(3)}}, 1, nil},
		{"interrupted twice", [][]answer{{odd}, {odd}}, 0, ErrInterrupted},
		{"refused", [][]answer{{flow(1), {status: -int32(unix.EPERM)}}}, 0, unix.EPERM},
		{"broken", [][]answer{{broken, flow(1)}}, 0, &DecodeError{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := dial(t, &fake{dumps: append(test.dumps, []answer{flow(9)})})
			all, err := c.Flows(t.Context())
			var malformed *DecodeError
			if len(all) != test.want || !errors.Is(err, test.err) && !(test.name == "broken" && errors.As(err, &malformed)) {
				t.Errorf("%d flows, %v", len(all), err)
			}
			if all, err = c.Flows(t.Context()); len(all) != 1 || err != nil {
				t.Errorf("afterwards: %d flows, %v", len(all), err)
			}
		})
	}
}

func TestTooMany(t *testing.T) {
	many := make([]answer, maxFlows+1)
	for i := range many {
		many[i] = flow(1)
	}
	c := dial(t, &fake{dumps: [][]answer{many, {flow(1)}}})
	if _, err := c.Flows(t.Context()); !errors.Is(err, ErrTooMany) {
		t.Error(err)
	}
	if all, err := c.Flows(t.Context()); len(all) != 1 || err != nil {
		t.Errorf("afterwards: %d flows, %v", len(all), err)
	}
}

// stopping is done after a number of questions.
type stopping struct {
	context.Context
	left int
}

func (s *stopping) Err() error {
	if s.left--; s.left < 0 {
		return context.Canceled
	}
	return nil
}

func TestCancelled(t *testing.T) {
	c := dial(t, &fake{dumps: [][]answer{{flow(1), flow(2), flow(3)}, {flow(4)}}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Flows(&stopping{ctx, 4}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if !c.unread {
		t.Error("nothing is left unread: the test is in vain")
	}
	if all, err := c.Flows(t.Context()); len(all) != 1 || err != nil {
		t.Errorf("afterwards: %d flows, %v", len(all), err)
	}
}

func TestClose(t *testing.T) {
	f := &fake{}
	c := dial(t, f)
	if err := errors.Join(c.Close(), c.Close()); err != nil || !f.closed {
		t.Error(err, f.closed)
	}
	if _, err := c.Ports(t.Context()); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}

func TestPorts(t *testing.T) {
	name := func(s string) []byte { return append([]byte(s), 0) }
	c := dial(t, &fake{dumps: [][]answer{{
		{attributes: append(append(append(attr(portNumber, u32(3)), attr(portName, name("tap0"))...), attr(portType, u32(1))...), attr(portIfindex, u32(77))...)},
		{attributes: append(append(append(attr(portNumber, u32(4)), attr(portName, name("far"))...), attr(portIfindex, u32(78))...), attr(portNetNS, u32(0))...)},
	}}})
	all, err := c.Ports(t.Context())
	want := []Port{{3, "tap0", Netdev, 77}, {4, "far", 0, 0}}
	if err != nil || len(all) != 2 || all[0] != want[0] || all[1] != want[1] {
		t.Errorf("%+v, %v", all, err)
	}
	if _, err := decodePort(attr(portName, name("x"))); err == nil {
		t.Error("a port without a number")
	}
	if Internal.String() != "internal" || PortType(9).String() != "9" {
		t.Error(Internal, PortType(9))
	}
}

// FuzzDecode: no input brings the decoders down, and what they make of it can be
// looked up.
func FuzzDecode(f *testing.F) {
	f.Add(flow(1).attributes)
	f.Add(append(sample(), attr(flowActions, attr(actCT, attr(ctZone, []byte{7, 0})), attr(actRecirc, u32(3)))...))
	f.Add(attr(flowKey, attr(keyEthernet, make([]byte, 12)), attr(keyVLAN, []byte{0x10, 7}), attr(keyEncap, attr(keyEthertype, []byte{8, 0}))))
	f.Add(append(attr(flowKey, outer4(0), attr(keyInPort, u32(3)), ethernet, attr(keyEthertype, []byte{0x88, 0xa8}), attr(keyVLAN, []byte{0x10, 7}),
		attr(keyEncap, attr(keyEthertype, []byte{0x81, 0}), attr(keyVLAN, []byte{0x10, 8}), attr(keyEncap, ipv4, ip4(6)))),
		append(attr(flowMask, outer4Mask, exact2), attr(flowActions,
			attr(actSet, attr(keyTunnel, attr(tunID, []byte{7: 7}), attr(tunDst4, []byte{192, 0, 2, 2}), attr(tunGeneve, []byte{1, 2, 0x80, 1, 0, 3, 0, 2}))),
			attr(actSetMasked, attr(keyIPv4, make([]byte, 10), []byte{63, 0}, make([]byte, 10), []byte{255, 0})), attr(actPopVLAN), attr(actPushVLAN, []byte{0x81, 0, 0x10, 7}),
			attr(actCheckPktLen, attr(checkLength, []byte{0x78, 5}), attr(checkFits, attr(actOutput, u32(4)))))...)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = decodePort(b)
		for rest := b; len(rest) > 0; {
			m, next, err := cut(rest)
			if err != nil {
				break
			}
			_, _, _ = m.body()
			_ = m.refusal("fuzz")
			rest = next
		}
		flow, ours, err := decodeFlow(b, 0)
		if err != nil || !ours {
			return
		}
		for i, mask := range flow.Match.Mask {
			if flow.Match.Key[i]&^mask != 0 {
				t.Errorf("key outside of the mask: %+v", flow.Match)
			}
		}
		table := megaflow.NewTable([]megaflow.Flow{flow})
		_, _ = table.Lookup(&megaflow.Packet{})
		p := megaflow.NewPacket(3, flows.Frame{}, flows.Tuple{})
		_, _ = megaflow.Compose(table, p, megaflow.Connection{})
	})
}
