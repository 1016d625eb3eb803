package tc

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// How AddFilter adds.
const (
	Exclusive = unix.NLM_F_EXCL    // refuse if a filter with this handle exists (EEXIST)
	Replace   = unix.NLM_F_REPLACE // take its place
	Echo      = unix.NLM_F_ECHO    // report the filter as it then is: handle, in_hw
	Ack       = unix.NLM_F_ACK     // report warnings of success; the last of a batch always does
)

const opGetQdisc = "get ingress qdisc"

// Batch collects requests for Conn.Do. The zero value is empty and ready. A
// batch is not safe for concurrent use; after Reset it keeps its memory.
type Batch struct {
	buf  []byte
	reqs []request
}

// request is one message of a batch: where it ends in buf, and what it is.
type request struct {
	end int
	op  string
}

// Reset empties the batch.
func (b *Batch) Reset() { b.buf, b.reqs = b.buf[:0], b.reqs[:0] }

// Len returns the number of requests.
func (b *Batch) Len() int { return len(b.reqs) }

// AddFilter appends a request to create f. It fails, and appends nothing, if f
// cannot be encoded (ErrInvalid).
func (b *Batch) AddFilter(f *Filter, how uint16) error {
	b.begin(unix.RTM_NEWTFILTER, unix.NLM_F_CREATE|how)
	var err error
	if b.buf, err = f.append(b.buf); err != nil {
		b.abort()
		return err
	}
	return b.finish("add filter")
}

// DeleteFilter appends a request to delete f: one filter, all of a preference
// (no handle) or all of a chain (no preference either). With a Kind the kernel
// needs no global lock for it.
func (b *Batch) DeleteFilter(f *Filter) error {
	b.begin(unix.RTM_DELTFILTER, 0)
	b.buf = f.appendRef(b.buf)
	return b.finish("delete filter")
}

// GetFilter appends a request to report the one filter f. What is missing is
// ENOENT (the filter, its preference), EINVAL (its chain, the qdisc) or ENODEV.
func (b *Batch) GetFilter(f *Filter) error {
	b.begin(unix.RTM_GETTFILTER, unix.NLM_F_ECHO)
	b.buf = f.appendRef(b.buf)
	return b.finish("get filter")
}

// AddClsact appends a request to create a device's clsact. It is refused (EEXIST)
// if there is one, or an ingress qdisc, already.
func (b *Batch) AddClsact(link int32) error {
	return b.qdisc(unix.RTM_NEWQDISC, unix.NLM_F_CREATE|unix.NLM_F_EXCL, link, "add clsact")
}

// DeleteClsact appends a request to delete a device's clsact with all filters.
func (b *Batch) DeleteClsact(link int32) error {
	return b.qdisc(unix.RTM_DELQDISC, 0, link, "delete clsact")
}

// GetIngressQdisc appends a request to report the qdisc in the place of clsact.
// There is no report, and no error, if there is none.
func (b *Batch) GetIngressQdisc(link int32) error {
	b.begin(unix.RTM_GETQDISC, unix.NLM_F_ECHO) // else the kernel reports it to listeners only
	b.buf = (&Filter{Link: link, Parent: clsactParent}).appendTCMsg(b.buf)
	return b.finish(opGetQdisc)
}

// AddChain appends a request to create a chain explicitly: it then stays without
// filters until it is deleted or its qdisc is.
func (b *Batch) AddChain(link int32, parent, chain uint32) error {
	return b.chain(unix.RTM_NEWCHAIN, unix.NLM_F_CREATE|unix.NLM_F_EXCL, link, parent, chain, "add chain")
}

// GetChain appends a request to report whether a chain exists: it does if there
// is no error.
func (b *Batch) GetChain(link int32, parent, chain uint32) error {
	return b.chain(unix.RTM_GETCHAIN, 0, link, parent, chain, "get chain")
}

func (b *Batch) qdisc(typ, flags uint16, link int32, op string) error {
	b.begin(typ, flags)
	f := clsact(link)
	b.buf = f.appendID(f.appendTCMsg(b.buf))
	return b.finish(op)
}

func (b *Batch) chain(typ, flags uint16, link int32, parent, chain uint32, op string) error {
	b.begin(typ, flags)
	f := Filter{Link: link, Parent: parent}
	b.buf = appendU32(f.appendTCMsg(b.buf), attrChain, chain)
	return b.finish(op)
}

// start returns where request i begins.
func (b *Batch) start(i int) int {
	if i == 0 {
		return 0
	}
	return b.reqs[i-1].end
}

// begin appends the header of a request; its length and sequence come later.
func (b *Batch) begin(typ, flags uint16) {
	b.buf = native.AppendUint32(b.buf, 0)
	b.buf = native.AppendUint16(b.buf, typ)
	b.buf = native.AppendUint16(b.buf, unix.NLM_F_REQUEST|flags)
	b.buf = append(b.buf, 0, 0, 0, 0, 0, 0, 0, 0)
}

func (b *Batch) abort() { b.buf = b.buf[:b.start(len(b.reqs))] }

func (b *Batch) finish(op string) error {
	start := b.start(len(b.reqs))
	n := len(b.buf) - start
	if n > maxMessage {
		b.abort()
		return fmt.Errorf("%w: %s of %d bytes", ErrInvalid, op, n)
	}
	native.PutUint32(b.buf[start:], uint32(n))
	b.reqs = append(b.reqs, request{len(b.buf), op})
	return nil
}
