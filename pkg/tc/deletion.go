package tc

import "golang.org/x/sys/unix"

// Object is a sort of thing that can be deleted.
type Object uint8

// The objects. What hangs on one goes with it, most often without a message of its
// own: the filters and chains of a qdisc, the filters of a chain.
const (
	ObjectQdisc Object = iota + 1
	ObjectChain
	ObjectFilter
)

// String returns the word of tc(8) for it.
func (o Object) String() string {
	switch o {
	case ObjectQdisc:
		return "qdisc"
	case ObjectChain:
		return "chain"
	case ObjectFilter:
		return "filter"
	}
	return "nothing"
}

// Deletion is the kernel's message that something is gone.
type Deletion struct {
	Object Object
	Link   int32  // ifindex
	Parent uint32 // of a filter its hook (Ingress, Egress), of a chain its qdisc, of a qdisc its place
	Kind   string // of a filter or qdisc
	Chain  uint32 // of a filter or chain
	Pref   uint16 // of a filter; 0: all of the chain
	Handle uint32 // of a filter 0: all of the preference
	Cookie Cookie // of the first action of a flower filter that has one
	// Port is the netlink port id of the socket that asked for it; 0 is the kernel
	// itself, which deletes chains that have become empty.
	Port uint32
}

// OnIngress reports whether a qdisc is gone that stood where clsact does.
func (d *Deletion) OnIngress() bool {
	return d.Object == ObjectQdisc && d.Parent == clsactParent
}

// objectOf returns what a type of message says to be gone, 0 for another message.
func objectOf(typ uint16) Object {
	switch typ {
	case unix.RTM_DELQDISC:
		return ObjectQdisc
	case unix.RTM_DELCHAIN:
		return ObjectChain
	case unix.RTM_DELTFILTER:
		return ObjectFilter
	}
	return 0
}

// decode reads the message of a deletion. Its filter is only memory to reuse.
func (d *Deletion) decode(m message, f *Filter) error {
	// The same struct and attribute numbers for all three.
	if err := f.decode(m.payload, nlmsgHeaderLen); err != nil {
		return err
	}
	*d = Deletion{
		Object: objectOf(m.typ), Link: f.Link, Parent: f.Parent, Kind: f.Kind, Chain: f.Chain,
		Pref: f.Pref, Handle: f.Handle, Port: m.port,
	}
	if d.Object != ObjectFilter {
		d.Pref = 0 // that field of struct tcmsg is a count of references
	}
	for i := range f.Actions {
		if f.Actions[i].Cookie != (Cookie{}) {
			d.Cookie = f.Actions[i].Cookie
			break
		}
	}
	return nil
}
