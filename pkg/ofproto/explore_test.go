package ofproto
import ("testing";"fmt";"net/netip";"github.com/flowshunt/flowshunt/flows")
func TestExplore(t *testing.T) {
	w := newWorld(t)
	fmt.Println(w.ports)
	for n := 1; n <= 25; n++ {
		q := Query{Bridge: "br0", InPort: 1, SrcMAC: flows.MAC{2,0,0,0,0,1}, DstMAC: flows.MAC{2,0,0,0,0,2}, Mark: 6, Labels:[16]byte{15:2}, Tuple: flows.Tuple{Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr(fmt.Sprintf("10.0.%d.2", n)), SrcPort: 1000, DstPort: 80, Proto: flows.TCP}}
		args, err := q.args()
		if err != nil { t.Fatal(err) }
		fmt.Println("=====", n)
		text, err := w.Call(t.Context(), "ofproto/trace", args...)
		if n == 10 { text = text[:300]+"..."+text[len(text)-1500:] }
		fmt.Println(text, err)
		tr, err := (&Tracer{w}).Trace(t.Context(), q)
		if err != nil { fmt.Println("ERR", err); continue}
		fmt.Println("-->", tr.Plain, tr.Groups); fmt.Println(render(tr, portNames(w.ports)))
	}
	q := "tcp,in_port=1,dl_src=02:00:00:00:00:01,dl_dst=02:00:00:00:00:02,nw_src=10.0.0.1,nw_dst=10.0.25.2,tp_src=5,tp_dst=80,tcp_flags=ack,ct_nw_src=10.0.0.1,ct_nw_dst=10.0.25.2,ct_nw_proto=6,ct_tp_src=5,ct_tp_dst=80"
	fmt.Println(w.Call(t.Context(), "ofproto/trace", "br0", q, "--ct-next","trk,est"))
}
