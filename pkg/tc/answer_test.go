package tc

import (
	"testing"

	"golang.org/x/sys/unix"
)

// answer builds an acknowledgement, or with errno a refusal, as the kernel does.
func answer(typ uint16, seq uint32, errno unix.Errno, text string) []byte {
	b := native.AppendUint32(nil, 0)
	b = native.AppendUint16(b, typ)
	b = native.AppendUint16(b, unix.NLM_F_CAPPED|unix.NLM_F_ACK_TLVS)
	b = native.AppendUint32(b, seq)
	b = native.AppendUint32(b, 0)
	b = native.AppendUint32(b, uint32(-int32(errno)))
	if typ == unix.NLMSG_ERROR {
		b = append(b, make([]byte, nlmsgHeaderLen)...)
	}
	if text != "" {
		b = appendU32(appendString(b, 1, text), 2, 52)
	}
	native.PutUint32(b, uint32(len(b)))
	return b
}

// TestAnswersOfOthers: answers to earlier requests are no answers to these.
func TestAnswersOfOthers(t *testing.T) {
	reqs := []request{{op: "add filter"}, {op: "add filter"}, {op: "delete filter"}}
	first := uint32(0xfffffffe) // the numbers run over
	for _, tt := range []struct {
		seq  uint32
		hit  int // -1: none
		done bool
	}{{first - 1, -1, false}, {first, 0, false}, {first + 1, 1, false}, {first + 2, 2, true}, {first + 3, -1, false}, {5, -1, false}} {
		results := make([]Result, 3)
		done, err := takeAll(answer(unix.NLMSG_ERROR, tt.seq, unix.ENOSPC, "table full"), first, reqs, results)
		if err != nil || done != tt.done {
			t.Errorf("sequence %#x: done %v, %v", tt.seq, done, err)
		}
		for i, r := range results {
			want := Error{reqs[i].op, unix.ENOSPC, "table full", 52}
			if got, ok := r.Err.(*Error); ok != (i == tt.hit) || ok && *got != want {
				t.Errorf("sequence %#x: result %d is %v", tt.seq, i, r.Err)
			}
		}
	}
}

// TestWarning: a success can have words, too.
func TestWarning(t *testing.T) {
	results := make([]Result, 1)
	done, err := takeAll(answer(unix.NLMSG_ERROR, 1, 0, "not offloaded"), 1, []request{{op: "add filter"}}, results)
	if err != nil || !done || results[0].Err != nil || results[0].Warning != "not offloaded" {
		t.Errorf("%+v, %v, %v", results, done, err)
	}
}

// TestUncappedAnswer: old kernels repeat the request before their words.
func TestUncappedAnswer(t *testing.T) {
	const length = 60
	b := answer(unix.NLMSG_ERROR, 1, unix.EINVAL, "")
	native.PutUint16(b[6:], unix.NLM_F_ACK_TLVS)
	native.PutUint32(b[20:], length)
	b = append(b, make([]byte, length-nlmsgHeaderLen)...)
	b = appendString(b, 1, "words")
	native.PutUint32(b, uint32(len(b)))
	results := make([]Result, 1)
	if _, err := takeAll(b, 1, []request{{}}, results); err != nil {
		t.Fatal(err)
	}
	if e, ok := results[0].Err.(*Error); !ok || e.Message != "words" {
		t.Errorf("%v", results[0].Err)
	}
}

// TestDumpOfOthers: messages and the end of an earlier dump are not this one's.
func TestDumpOfOthers(t *testing.T) {
	n := 0
	d := dumpReader{seq: 7, fn: func(message) error { n++; return nil }}
	for _, b := range [][]byte{
		answer(unix.RTM_NEWTFILTER, 6, 0, ""), answer(unix.NLMSG_DONE, 6, 0, ""), answer(unix.NLMSG_ERROR, 6, unix.EBUSY, ""),
		answer(unix.RTM_NEWTFILTER, 7, 0, ""),
	} {
		if err := d.read(b); err != nil || d.done || d.stop != nil {
			t.Errorf("%+v, %v", d, err)
		}
	}
	if n != 1 {
		t.Errorf("%d messages, want 1", n)
	}
	if err := d.read(answer(unix.NLMSG_DONE, 7, unix.ENODEV, "")); err != nil || !d.done {
		t.Errorf("%+v, %v", d, err)
	}
	if e, ok := d.stop.(*Error); !ok || e.Errno != unix.ENODEV {
		t.Errorf("the dump ended with %v", d.stop)
	}
}
