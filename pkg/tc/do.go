package tc

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Result is what became of one request of a batch.
type Result struct {
	Err     error   // nil, an *Error, or why the outcome is not known
	Warning string  // words of the kernel or a driver about a success (Ack, Verbose)
	Filter  *Filter // what was reported: Echo, GetFilter
	Qdisc   *Qdisc  // what was reported: GetIngressQdisc
}

// Do sends the batch and fills in results, which must have room for one per
// request. Requests are carried out in order, and go on after a refusal.
//
// The error is nil if every result is known. Else it is the cause, and those
// results whose outcome is unknown (lost answers), or which were never sent
// (ctx was done), have it as their Err. Do looks at ctx before each sendmsg.
func (c *Conn) Do(ctx context.Context, b *Batch, results []Result) error {
	results = results[:b.Len()]
	clear(results)
	c.mu.Lock()
	defer c.mu.Unlock()
	for from := 0; from < b.Len(); {
		to := min(from+c.perSend, b.Len())
		if err := c.ready(ctx); err != nil {
			return fail(results[from:], err)
		}
		if err := c.transact(b, from, to, results[from:to]); err != nil {
			// Ok so far means only that no refusal was read.
			return fail(results[from:], fmt.Errorf("outcome unknown: %w", err))
		}
		from = to
	}
	return nil
}

// fail gives err to all results that have none.
func fail(results []Result, err error) error {
	for i := range results {
		if results[i].Err == nil {
			results[i].Err = err
		}
	}
	return err
}

// transact sends requests [from,to) in one go. Only the last one asks for an
// acknowledgement: refusals are reported in any case, and the answer to the last
// says that all before it were worked off.
func (c *Conn) transact(b *Batch, from, to int, results []Result) error {
	first := c.nextSeq(to - from)
	for i := from; i < to; i++ {
		native.PutUint32(b.buf[b.start(i)+8:], first+uint32(i-from))
	}
	flags := b.buf[b.start(to-1)+6:]
	native.PutUint16(flags, native.Uint16(flags)|unix.NLM_F_ACK)
	if err := c.socket.Send(b.buf[b.start(from):b.reqs[to-1].end]); err != nil {
		return err
	}
	for done := false; !done; {
		datagram, err := c.receive()
		if err != nil {
			return err
		}
		if done, err = takeAll(datagram, first, b.reqs[from:to], results); err != nil {
			return err
		}
	}
	return nil
}

// takeAll enters the answers of one datagram into the results of the requests
// with the sequence numbers from first on. It reports whether the last request
// was answered.
func takeAll(datagram []byte, first uint32, reqs []request, results []Result) (done bool, err error) {
	for len(datagram) > 0 {
		var m message
		if m, datagram, err = cutMessage(datagram); err != nil {
			return false, err
		}
		i := m.seq - first
		if uint64(i) >= uint64(len(reqs)) {
			continue // an answer to something else
		}
		if err := results[i].take(m, reqs[i].op); err != nil {
			return false, err
		}
		done = done || m.typ == unix.NLMSG_ERROR && int(i) == len(reqs)-1
	}
	return done, nil
}

// take enters one answer into the result.
func (r *Result) take(m message, op string) error {
	switch m.typ {
	case unix.NLMSG_ERROR:
		refusal, warning, err := decodeAck(m, op)
		absent := op == opGetQdisc && refusal != nil && refusal.Errno == unix.ENOENT
		if refusal != nil && !absent {
			r.Err = refusal
		}
		if warning != "" {
			r.Warning = warning
		}
		return err
	case unix.RTM_NEWTFILTER:
		r.Filter = new(Filter)
		if w := extWarning(m); w != "" {
			r.Warning = w
		}
		return r.Filter.decode(m.payload, nlmsgHeaderLen)
	case unix.RTM_NEWQDISC:
		if op == opGetQdisc {
			r.Qdisc = new(Qdisc)
			return r.Qdisc.decode(m.payload, nlmsgHeaderLen)
		}
	}
	return nil
}

// extWarning returns the words that kernels since 6.3 put into the notification
// of a success (TCA_EXT_WARN_MSG).
func extWarning(m message) string {
	if len(m.payload) < tcmsgLen {
		return ""
	}
	var err error
	a := attrs{b: m.payload[tcmsgLen:], err: &err}
	for a.next() {
		if a.typ == attrExtWarn {
			return cString(a.val)
		}
	}
	return ""
}

// decodeAck reads a struct nlmsgerr and the attributes that may follow it.
func decodeAck(m message, op string) (refusal *Error, warning string, err error) {
	const head = 4 + nlmsgHeaderLen // errno, header of the request
	if len(m.payload) < head {
		return nil, "", &DecodeError{nlmsgHeaderLen, "struct nlmsgerr"}
	}
	text, offset, err := decodeExtAck(m, head)
	errno := -int32(native.Uint32(m.payload))
	if errno == 0 {
		return nil, text, err
	}
	return &Error{Op: op, Errno: unix.Errno(errno), Message: text, Offset: offset}, "", err
}

func decodeExtAck(m message, head int) (text string, offset int, err error) {
	if m.flags&unix.NLM_F_ACK_TLVS == 0 {
		return "", 0, nil
	}
	if m.flags&unix.NLM_F_CAPPED == 0 { // the whole request is repeated
		head += int(native.Uint32(m.payload[4:])) - nlmsgHeaderLen
		head = align4(head)
	}
	if head < 0 || head > len(m.payload) {
		return "", 0, &DecodeError{nlmsgHeaderLen + 4, "length of the request"}
	}
	a := attrs{b: m.payload[head:], base: nlmsgHeaderLen + head, err: &err}
	for a.next() {
		switch a.typ {
		case 1: // NLMSGERR_ATTR_MSG
			text = cString(a.val)
		case 2: // NLMSGERR_ATTR_OFFS
			offset = int(a.u32())
		}
	}
	return text, offset, err
}

func cString(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}
