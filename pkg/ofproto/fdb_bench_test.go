package ofproto

import (
	"fmt"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
)

func BenchmarkParseFDB8k(b *testing.B) {
	var text strings.Builder
	text.WriteString(heading)
	for i := range 8192 {
		fmt.Fprintf(&text, "%5d  %4d  %s  %3d\n", 1+i%200, i%4096, flows.MAC{2, 0, 0, 0, byte(i >> 8), byte(i)}, i%300)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseFDB(text.String()); err != nil {
			b.Fatal(err)
		}
	}
}
