package tc

import (
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// TestDeletionsOnly runs the program as the kernel does, on headers.
func TestDeletionsOnly(t *testing.T) {
	many := make([]uint32, maxOwn)
	for i := range many {
		many[i] = uint32(i + 1)
	}
	for _, own := range [][]uint32{nil, {7}, {0x80000001, 7}, many} {
		raw, err := deletionsOnly(own)
		if err != nil {
			t.Fatal(err)
		}
		program, ok := bpf.Disassemble(raw)
		vm, err := bpf.NewVM(program)
		if err != nil || !ok {
			t.Fatalf("%d own: %v", len(own), err)
		}
		ports := append([]uint32{0, 7, 70000, 0x80000001}, own...)
		for _, port := range ports {
			for typ := uint16(unix.RTM_NEWLINK); typ < unix.RTM_GETCHAIN+20; typ++ {
				n, err := vm.Run(header(typ, port))
				if err != nil {
					t.Fatal(err)
				}
				want := objectOf(typ) != 0
				for _, o := range own {
					want = want && o != port
				}
				if got := n > 0; got != want {
					t.Errorf("own %v: type %d of port %#x passes: %v, want %v", own, typ, port, got, want)
				}
			}
		}
	}
}

func header(typ uint16, port uint32) []byte {
	b := native.AppendUint32(nil, nlmsgHeaderLen)
	b = native.AppendUint16(b, typ)
	b = native.AppendUint16(b, 0)
	b = native.AppendUint32(b, 99)
	return native.AppendUint32(b, port)
}

// FuzzDeletion: no message makes the decoder panic.
func FuzzDeletion(f *testing.F) {
	f.Add(uint16(unix.RTM_DELTFILTER), make([]byte, tcmsgLen))
	f.Add(uint16(unix.RTM_DELCHAIN), []byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, typ uint16, payload []byte) {
		var d Deletion
		err := d.decode(message{typ: typ, port: 3, payload: payload}, new(Filter))
		if err == nil && (d.Port != 3 || d.Object != objectOf(typ)) {
			t.Errorf("%+v", d)
		}
	})
}
