package megaflow

import (
	"encoding/binary"

	"github.com/flowshunt/flowshunt/flows"
)

// walk is a packet on its way.
type walk struct {
	conn   *Connection
	packet *Packet
	tuple  flows.Tuple // by which the packet is addressed
	path   Path
	sent   bool // path.Out is set
	tunnel flows.Ref[flows.Tunnel]
	entry  entry
	anyTTL bool // a flow on the way does not hold for packets with few hops left
}

// run carries out the actions of one flow. again says that the packet is to be
// matched anew.
func (w *walk) run(actions []Action) (again bool, err error) {
	for i, a := range actions {
		if w.sent || again {
			return false, behind(a)
		}
		switch a := a.(type) {
		case Recirc:
			again, err = true, w.recirculate(a.ID)
		case CheckLength:
			again, err = w.checkLength(a)
			if err == nil && !w.sent && !again && i < len(actions)-1 { // the branch works on a clone then
				err = refuse(flows.UnsupportedAction, "check_pkt_len(size=%d) before other actions", a.Size)
			}
		default:
			err = w.step(a)
		}
		if err != nil {
			return false, err
		}
	}
	return again, nil
}

// step carries out an action that does not decide what comes next.
func (w *walk) step(a Action) error {
	switch a := a.(type) {
	case Output:
		w.path.Out, w.sent = a.Port, true
	case TunnelOutput:
		w.path.Out, w.tunnel, w.sent = a.Port, a.Tunnel, true
	case CT:
		return w.track(&a)
	case CTClear:
		w.packet.untracked()
		w.entry = entry{}
	case PushVLAN:
		return w.push(a.Tag)
	case PopVLAN:
		t := w.packet.tags()
		w.packet.setTags(flows.Tags{t[1]})
	case Set:
		return w.set(a)
	case DecTTL:
		if w.packet.Hops += a.N; w.packet.Hops > flows.MaxHops {
			return refuse(flows.UnsupportedRouted, "more than %d routers", flows.MaxHops)
		}
	case Encap:
		w.tunnel = a.Tunnel
	case Unsupported:
		return &Refusal{a.Reason, a.Name}
	default:
		return refuse(flows.UnsupportedAction, "%T", a)
	}
	return nil
}

func (w *walk) recirculate(id uint32) error {
	if !w.tunnel.IsZero() { // the kernel then matches the outer header of before
		return refuse(flows.UnsupportedTunnel, "recirculated in a tunnel")
	}
	w.packet.SetUint(RecircID, uint64(id))
	return nil
}

func (w *walk) push(t flows.Tag) error {
	now := w.packet.tags()
	if !now[1].IsZero() {
		return refuse(flows.UnsupportedVLAN, "a third tag: %s", t)
	}
	w.packet.setTags(flows.Tags{t, now[0]})
	return nil
}

// settable are the fields that a rule can overwrite.
var settable = func() (k Key) {
	for _, f := range [...]Field{EthSrc, EthDst, IPSrc, IPDst, TPSrc, TPDst} {
		all := full(f)
		for i := range k {
			k[i] |= all[i]
		}
	}
	return k
}()

// set overwrites bits. What is no part of a Frame or a Tuple may be overwritten by what
// it is known to be.
func (w *walk) set(a Set) error {
	if a.Field >= numFields {
		return refuse(flows.UnsupportedAction, "set(%s)", a.Field)
	}
	var value, mask Key
	if a.Field.IsWide() {
		value.SetWide(a.Field, a.Value)
		mask.SetWide(a.Field, a.Mask)
	} else {
		value.SetUint(a.Field, binary.BigEndian.Uint64(a.Value[8:]))
		mask.SetUint(a.Field, binary.BigEndian.Uint64(a.Mask[8:]))
	}
	if !mask.meets(&settable) {
		for i := range mask {
			if mask[i]&^w.packet.Known[i] != 0 || (value[i]^w.packet.Key[i])&mask[i] != 0 {
				return &Refusal{setReason(a.Field), "set(" + a.Field.String() + ")"}
			}
		}
		return nil
	}
	for i := range mask {
		w.packet.Key[i] = w.packet.Key[i]&^mask[i] | value[i]&mask[i]
		w.packet.Known[i] |= mask[i]
	}
	w.tuple = w.packet.Addressed(w.tuple)
	return nil
}

func setReason(f Field) flows.Reason {
	if f == IPTTL {
		return flows.UnsupportedRouted
	}
	return flows.UnsupportedAction
}

// checkLength takes the branch of frames that fit if all do.
func (w *walk) checkLength(a CheckLength) (again bool, err error) {
	switch tags := w.packet.tags(); {
	case a.Branches == nil:
		return false, refuse(flows.UnsupportedAction, "check_pkt_len(size=%d)", a.Size)
	case equal(a.Longer, a.Fits):
	case w.conn.MaxFrame == 0 || w.conn.MaxFrame+4*tags.Len() > int(a.Size):
		return false, refuse(flows.UnsupportedAction, "check_pkt_len(size=%d), and frames may be longer", a.Size)
	}
	return w.run(a.Fits)
}

// behind refuses what comes after an output or a recirculation: the packet, or a
// copy of it, goes more ways than one.
func behind(a Action) error {
	switch a := a.(type) {
	case CT:
		return refuse(flows.UnsupportedAction, "ct(zone=%d) behind an output", a.Zone)
	case CTClear:
		return refuse(flows.UnsupportedAction, "ct_clear behind an output")
	case Unsupported:
		return &Refusal{a.Reason, a.Name}
	default: // sends it, or changes what is sent then
		return refuse(flows.UnsupportedOutputs, "packets go more than one way")
	}
}

// ErrAnyTTL is the *Refusal of a path that holds for packets with many hops left only, of
// which no guard keeps the others away: there is one for rules that take hops off. Who knows
// that OVS does the same with packets of few hops can clear Flow.AnyTTL.
var ErrAnyTTL = refuse(flows.UnsupportedRouted, "OVS looks at the TTL, and does not lower it")

func (w *walk) end() (Path, error) {
	switch in := uint32(w.packet.Key.Uint(InPort)); {
	case !w.sent:
		return Path{}, refuse(flows.PathDropped, "no output")
	case w.path.Out == in:
		return Path{}, refuse(flows.UnsupportedHairpin, "back to port %d", in)
	}
	if w.anyTTL && w.packet.Hops == 0 { // there is no guard then that keeps those from a rule
		return Path{}, ErrAnyTTL
	}
	w.path.Leaves = w.packet.Frame()
	w.path.Leaves.Tunnel = w.tunnel
	w.path.Hops = w.packet.Hops
	w.path.Tuple = w.tuple
	return w.path, nil
}
