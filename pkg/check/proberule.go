package check

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/tc"
)

// The ends of connections that cannot exist: addresses that are for documentation (RFC
// 5737, RFC 3849), and senders with a group address, which no frame has (IEEE 802.3, 3.2.3).
var (
	probeAddr4 = [2]netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.1")}
	probeAddr6 = [2]netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")}
	probeMAC   = [2]flows.MAC{{0x03, 0xf1, 0x05, 0x47, 0, 1}, {0x03, 0xf1, 0x05, 0x47, 0, 2}}
)

// probeTuple returns the n-th tuple of a protocol; n is below 40,000.
func probeTuple(proto flows.Proto, v6 bool, n int) flows.Tuple {
	ends := probeAddr4
	if v6 {
		ends = probeAddr6
	}
	t := flows.Tuple{Proto: proto, Src: ends[0], Dst: ends[1]}
	if proto.HasPorts() {
		t.SrcPort, t.DstPort = uint16(20_000+n), 9
	}
	return t
}

// change is the insertion of the n-th rule of a tuple in a direction.
func (p *prober) change(t flows.Tuple, dir flows.Dir, n int) eswitch.Change {
	in, out, macs := p.in, p.out, probeMAC
	if dir == flows.Reply {
		t, in, out, macs = t.Reverse(), p.out, p.in, [2]flows.MAC{probeMAC[1], probeMAC[0]}
	}
	rule := flows.Rule{Dir: dir, In: in.index, Out: out.index, Frame: flows.Frame{SrcMAC: macs[0], DstMAC: macs[1]}, Tuple: t}
	class, _ := eswitch.ClassOf(rule)
	return eswitch.Change{
		Op: eswitch.Add, Session: probeSession + flows.SessionID(n),
		Ref:  eswitch.Ref{Link: in.index, Class: class, Handle: probeHandle + uint32(2*n) + uint32(dir)},
		Rule: rule,
	}
}

// pair inserts both rules of one connection and reads back where they are.
func (p *prober) pair(ctx context.Context) Line {
	const name = "rule"
	t := probeTuple(flows.TCP, false, 0)
	changes := []eswitch.Change{p.change(t, flows.Orig, 0), p.change(t, flows.Reply, 0)}
	p.add(ctx, changes)
	defer func() { _ = p.removeAll(context.WithoutCancel(ctx)) }() // cleanUp tries again and says it
	var places []string
	for i := range changes {
		c := &changes[i]
		if c.Err != nil {
			return p.refused(name, c.Err)
		}
		place, err := p.raw.place(ctx, c.Ref)
		if err != nil {
			return unknown(name, err)
		}
		if !strings.HasPrefix(place, "in_hw") {
			return fatal(name, "%s: accepted with skip_sw, and is %s", p.deviceOf(c.Ref.Link), place).
				why("nobody executes it").fix("report that to the vendor of the driver")
		}
		places = append(places, p.deviceOf(c.Ref.Link)+" "+place)
	}
	return ok(name, "taken in both directions: %s", strings.Join(places, ", "))
}

func (p *prober) deviceOf(link int32) string {
	if link == p.in.index {
		return p.in.Name
	}
	return p.out.Name
}

func (p *prober) refused(name string, err error) Line {
	l := fatal(name, "refused: %s", words(err))
	if ctxDone(err) {
		return unknown(name, err)
	}
	l.Why = "nothing can be offloaded to hardware from this port"
	switch {
	case errors.Is(err, eswitch.ErrFull):
		return l.fix("tc filter show dev " + p.in.Name + " ingress # what fills the table")
	case p.in.SwitchID == "":
		return l.fix("probe a representor: ip -d link show # these have a switchid")
	case p.in.index == p.out.index:
		return l.fix("flowshuntctl check --probe "+p.in.Name+" --probe-to OTHER # a driver may refuse a redirect to the port itself",
			"ethtool -K "+p.in.Name+" hw-tc-offload on")
	}
	return l.fix("ethtool -K "+p.in.Name+" hw-tc-offload on", "dmesg | tail")
}

func ctxDone(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// words are those of the kernel or the driver where there are any.
func words(err error) string {
	var refusal *tc.Error
	switch {
	case !errors.As(err, &refusal):
		return oneLine(err.Error())
	case refusal.Message != "":
		return fmt.Sprintf("%s (%s)", oneLine(refusal.Message), refusal.Errno)
	}
	return fmt.Sprintf("%s, and no word why", refusal.Errno)
}
