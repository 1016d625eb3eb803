package tc

// Qdisc is one queueing discipline of one device, as far as its place and kind
// go. Only clsact can be made and removed with this package.
type Qdisc struct {
	Link   int32 // ifindex
	Handle uint32
	Parent uint32
	Kind   string
}

// OnIngress reports whether q takes the place of clsact: one of clsact and
// ingress can be there.
func (q *Qdisc) OnIngress() bool { return q.Parent == clsactParent }

// clsact returns what the requests for the clsact of one device say.
func clsact(link int32) *Filter {
	return &Filter{Link: link, Handle: clsactHandle, Parent: clsactParent, Kind: KindClsact}
}

func (q *Qdisc) decode(b []byte, base int) error {
	var f Filter // the same struct and attribute numbers
	if err := f.decode(b, base); err != nil {
		return err
	}
	*q = Qdisc{Link: f.Link, Handle: f.Handle, Parent: f.Parent, Kind: f.Kind}
	return nil
}
