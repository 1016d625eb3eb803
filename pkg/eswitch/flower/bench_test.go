package flower_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/hack/benchtest"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/eswitch/eswitchtest"
	"github.com/flowshunt/flowshunt/pkg/eswitch/flower"
	"github.com/flowshunt/flowshunt/pkg/tc/tctest"
)

// script writes a batch file for tc that adds, or deletes, the same rules.
func script(t testing.TB, op string, sessions []flows.Session, r *eswitchtest.Rig) string {
	t.Helper()
	dev := map[int32]string{r.A: "p0", r.B: "p1"}
	var s strings.Builder
	for i, session := range sessions {
		for dir, rule := range session.Rules {
			handle := (i+1)<<1 | dir
			fmt.Fprintf(&s, "filter %s dev %s ingress pref 16384 protocol ip handle %#x flower", op, dev[rule.In], handle)
			if op == "add" {
				cookie := eswitch.EncodeCookie(0, session.ID)
				fmt.Fprintf(&s, " skip_hw src_mac %s dst_mac %s ip_proto tcp ip_flags nofrag src_ip %s dst_ip %s src_port %d dst_port %d tcp_flags 0x0/0x7 action mirred egress redirect dev %s cookie %x no_percpu",
					rule.SrcMAC, rule.DstMAC, rule.Tuple.Src, rule.Tuple.Dst, rule.Tuple.SrcPort, rule.Tuple.DstPort, dev[rule.Out], cookie)
			}
			s.WriteByte('\n')
		}
	}
	path := t.TempDir() + "/" + op
	if err := os.WriteFile(path, []byte(s.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func seconds(fn func()) float64 {
	began := time.Now()
	fn()
	return time.Since(began).Seconds()
}

// TestBenchInsert installs and removes the same rules with tc -b and with an
// Eswitch, in turns, and reports the medians.
func TestBenchInsert(t *testing.T) {
	benchtest.Need(t)
	tctest.NeedFlower(t)
	r := rig(t, flower.Config{})
	e := prepared(t, r)
	sessions := r.Sessions(1000)
	rules := float64(2 * len(sessions))
	add, del := script(t, "add", sessions, r), script(t, "del", sessions, r)
	var peerAdd, peerDel, peerShow, ourAdd, ourDel, ourShow []float64
	for range 5 {
		peerAdd = append(peerAdd, seconds(func() { tctest.Run(t, "tc -b "+add) }))
		peerShow = append(peerShow, seconds(func() {
			tctest.Run(t, "tc -s filter show dev p0 ingress")
			tctest.Run(t, "tc -s filter show dev p1 ingress")
		}))
		peerDel = append(peerDel, seconds(func() { tctest.Run(t, "tc -b "+del) }))
		ourAdd = append(ourAdd, seconds(func() {
			for _, res := range e.Install(t.Context(), sessions) {
				if res.Err != nil {
					t.Fatal(res.Err)
				}
			}
		}))
		ourShow = append(ourShow, seconds(func() {
			if c, _, err := e.Counters(t.Context()); len(c) != len(sessions) || err != nil {
				t.Fatal(len(c), err)
			}
		}))
		ourDel = append(ourDel, seconds(func() {
			if err := errors.Join(e.Remove(t.Context(), eswitchtest.IDs(sessions))...); err != nil {
				t.Fatal(err)
			}
		}))
	}
	report(t, "flower-insert", rules/benchtest.Median(ourAdd), rules/benchtest.Median(peerAdd))
	report(t, "flower-delete", rules/benchtest.Median(ourDel), rules/benchtest.Median(peerDel))
	report(t, "flower-counters", rules/benchtest.Median(ourShow), rules/benchtest.Median(peerShow))
}

var peerNames = map[string]string{
	"flower-insert": "tc -b", "flower-delete": "tc -b", "flower-counters": "tc -s filter show",
	"adopt-10k": "tc -b, out and in again", "adopt-10k-own": "our own removal and installation", "adopt-10k-read": "tc -s filter show",
}

func report(t testing.TB, name string, ours, peer float64) {
	t.Helper()
	benchtest.Report(t, benchtest.Rate(name, "rules/s", ours, peer, peerNames[name]))
}

// BenchmarkInstall measures a session's way in and out without a kernel request
// by anybody else.
func BenchmarkInstall(b *testing.B) {
	tctest.NeedFlower(b)
	for _, bm := range []struct {
		name    string
		workers int
		mode    flower.Mode
		chunk   int
	}{
		{"one-worker", 1, flower.SkipHW, 64},
		{"two-workers", 2, flower.SkipHW, 64},
		{"four-workers", 4, flower.SkipHW, 64},
		{"chunk-16", 2, flower.SkipHW, 16},
		{"chunk-1", 2, flower.SkipHW, 1},
		{"read-back", 2, flower.Both, 64},
	} {
		b.Run(bm.name, func(b *testing.B) {
			r := rig(b, flower.Config{Mode: bm.mode})
			e := eswitch.New(r.Driver, eswitch.Config{Workers: bm.workers, Chunk: bm.chunk})
			if err := errors.Join(e.PreparePort(b.Context(), r.A), e.PreparePort(b.Context(), r.B)); err != nil {
				b.Fatal(err)
			}
			sessions := r.Sessions(1000)
			for b.Loop() {
				for _, res := range e.Install(b.Context(), sessions) {
					if res.Err != nil {
						b.Fatal(res.Err)
					}
				}
				b.StopTimer()
				e.Remove(b.Context(), eswitchtest.IDs(sessions))
				b.StartTimer()
			}
			b.ReportMetric(float64(b.N)*2000/b.Elapsed().Seconds(), "rules/s")
		})
	}
}
