package engine

import (
	"net/netip"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
)

func TestShape(t *testing.T) {
	tag := flows.Tags{{Type: flows.TagCustomer, ID: 7}}
	tunnel := flows.RefTo(flows.Tunnel{Dst: netip.MustParseAddr("192.0.2.1"), ID: 5})
	plain := benchPaths[0].Frame
	with := func(change func(*flows.Frame)) flows.Frame {
		f := plain
		change(&f)
		return f
	}
	for _, test := range []struct {
		want    string
		in, out flows.Frame
		hops    uint8
		tuple   flows.Tuple
	}{
		{"", plain, plain, 0, flows.Tuple{}},
		{", tagged", with(func(f *flows.Frame) { f.Tags = tag }), plain, 0, flows.Tuple{}},
		{", tagged", plain, with(func(f *flows.Frame) { f.Tags = tag }), 0, flows.Tuple{}},
		{", tunnelled", with(func(f *flows.Frame) { f.Tunnel = tunnel }), plain, 0, flows.Tuple{}},
		{", tunnelled", plain, with(func(f *flows.Frame) { f.Tunnel = tunnel }), 0, flows.Tuple{}},
		{", routed", plain, plain, 1, flows.Tuple{}},
		{", routed", plain, with(func(f *flows.Frame) { f.SrcMAC = flows.MAC{2, 9} }), 0, flows.Tuple{}},
		{", routed", plain, with(func(f *flows.Frame) { f.DstMAC = flows.MAC{2, 9} }), 0, flows.Tuple{}},
		{", translated", plain, plain, 0, passed},
		{", tagged, tunnelled, routed, translated", with(func(f *flows.Frame) { f.Tags = tag }),
			with(func(f *flows.Frame) { f.Tunnel = tunnel }), 2, passed},
	} {
		for d := range benchPaths {
			paths := benchPaths
			paths[d].Frame, paths[d].Change = test.in, flows.ChangeTo(test.in, test.out, test.hops, test.tuple)
			if got := shapeOf(paths).String(); got != test.want {
				t.Errorf("promise 7: direction %d: %q, want %q", d, got, test.want)
			}
		}
	}
}
