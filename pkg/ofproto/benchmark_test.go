package ofproto

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/hack/benchtest"
	"github.com/flowshunt/flowshunt/pkg/unixctl"
)

// twoZones is a pipeline like that of two ports with security groups on one node;
// ovnLike has 40 resubmits as well, with registers.
const twoZones = `
table=0,priority=1,ip,in_port=1,actions=ct(table=1,zone=10)
table=0,priority=1,ip,in_port=2,actions=ct(table=2,zone=11)
table=1,ip,ct_state=+est-inv,ct_mark=0,actions=ct(table=3,zone=11)
table=2,ip,ct_state=+est-inv,ct_mark=0,actions=ct(table=4,zone=10)
table=3,ip,ct_state=+est-inv,ct_mark=0,dl_dst=02:00:00:00:00:02,actions=output:2
table=4,ip,ct_state=+est-inv,ct_mark=0,dl_dst=02:00:00:00:00:01,actions=output:1
`

func ovnLike() string {
	var b strings.Builder
	b.WriteString("table=0,priority=1,ip,in_port=1,actions=load:10->NXM_NX_REG13[],load:1->NXM_NX_REG14[],load:2->NXM_NX_REG15[],resubmit(,8)\n")
	for table := 8; table < 48; table++ {
		next := fmt.Sprintf("resubmit(,%d)", table+1)
		switch table {
		case 16:
			next = "ct(table=17,zone=NXM_NX_REG13[0..15])"
		case 32:
			next = "load:11->NXM_NX_REG13[],ct(table=33,zone=NXM_NX_REG13[0..15])"
		}
		fmt.Fprintf(&b, "table=%d,ip,actions=load:%d->NXM_NX_XXREG0[97],move:NXM_NX_REG14[]->NXM_NX_REG1[],%s\n", table, table%2, next)
	}
	b.WriteString("table=48,actions=output:2\n")
	return b.String()
}

// both are the two directions of a connection.
func both() [2]Query {
	q := ask("10.0.1.2")
	q.Bridge, q.Mark, q.Labels = "two", 0, [16]byte{}
	r := q
	r.InPort, r.SrcMAC, r.DstMAC, r.Tuple, r.Reply = 2, q.DstMAC, q.SrcMAC, q.Tuple.Reverse(), true
	return [2]Query{q, r}
}

// BenchmarkTraceValidate: one client validates connections, each by two traces
// through two zones, by turns with ovs-appctl(8) run for the same traces.
func BenchmarkTraceValidate(b *testing.B) {
	w := newWorld(b)
	w.bridge("two", "e=1", "f=2")
	w.flows(b, "two", "", twoZones)
	n := 200
	if testing.Short() {
		n = 5
	}
	queries := both()
	tracer := &Tracer{Caller: w}
	ours := func() time.Duration {
		return each(n, func() { validate(b, tracer, queries, 3) })
	}
	peer := func() time.Duration {
		return each(n/4, func() {
			for _, q := range queries {
				args, _ := q.args()
				cmd := exec.Command("ovs-appctl", append([]string{"-t", "ovs-vswitchd", "ofproto/trace"}, args...)...)
				cmd.Env = append(os.Environ(), "OVS_RUNDIR="+w.Rundir)
				if err := cmd.Run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	ours()
	var us, them []time.Duration
	for range 5 {
		them = append(them, peer())
		us = append(us, ours())
	}
	for b.Loop() {
		validate(b, tracer, queries, 3)
	}
	mine, theirs := 1/benchtest.Median(us).Seconds(), 1/benchtest.Median(them).Seconds()
	b.ReportMetric(mine, "validations/s")
	b.ReportMetric(mine/theirs, "x-ovs-appctl")
	benchtest.Report(b, benchtest.Rate("trace-validate", "validations/s", mine, theirs, "ovs-appctl ofproto/trace"))
}

func validate(b *testing.B, tracer *Tracer, queries [2]Query, stages int) {
	for _, q := range queries {
		trace, err := tracer.Trace(context.Background(), q)
		if err != nil || len(trace.Stages) != stages || len(trace.Stages[stages-1].Actions) != 1 {
			b.Fatalf("%+v, %v", trace, err)
		}
	}
}

// each returns the mean time of n calls.
func each(n int, f func()) time.Duration {
	start := time.Now()
	for range max(n, 1) {
		f()
	}
	return time.Since(start) / time.Duration(max(n, 1))
}

// BenchmarkTrace: one trace, by the length of the pipeline and by what carries the
// call.
func BenchmarkTrace(b *testing.B) {
	w := newWorld(b)
	w.bridge("two", "e=1", "f=2")
	w.bridge("ovn", "g=1", "h=2")
	w.flows(b, "two", "", twoZones)
	w.flows(b, "ovn", "", ovnLike())
	one, zones := ask("10.0.2.2"), both()[0]
	ovn := zones
	ovn.Bridge = "ovn"
	kept := keep(b, w.Client)
	for _, q := range []struct {
		name  string
		query Query
	}{{"no-ct", one}, {"two-zones", zones}, {"ovn-like", ovn}} {
		for _, caller := range []struct {
			name string
			Caller
		}{{"dial", w}, {"kept", kept}} {
			b.Run(q.name+"/"+caller.name, func(b *testing.B) {
				for b.Loop() {
					if _, err := (&Tracer{Caller: caller}).Trace(b.Context(), q.query); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		b.Run(q.name+"/parse", func(b *testing.B) {
			args, _ := q.query.args()
			text := w.call(b, "ofproto/trace", args...)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := parse(&q.query, text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("two-zones/kept-pipelined", func(b *testing.B) { // both directions in flight; per trace
		args, _ := zones.args()
		for i := 0; i < b.N; i += 2 {
			if err := errors.Join(kept.send("ofproto/trace", args), kept.send("ofproto/trace", args)); err != nil {
				b.Fatal(err)
			}
			for range 2 {
				if text, err := kept.receive(); err != nil || text == "" {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("two-zones/dial-parallel", func(b *testing.B) { // four callers at a time
		b.SetParallelism(max(1, 4/runtime.GOMAXPROCS(0)))
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := (&Tracer{Caller: w}).Trace(b.Context(), zones); err != nil {
					b.Error(err)
				}
			}
		})
	})
	b.Run("version/dial", func(b *testing.B) { // the floor: a call that does nothing
		for b.Loop() {
			w.call(b, "version")
		}
	})
}

// keptCaller has one connection for all calls.
type keptCaller struct {
	conn net.Conn
	dec  *json.Decoder
	id   int
}

func keep(b *testing.B, c *unixctl.Client) *keptCaller {
	b.Helper()
	paths, err := filepath.Glob(filepath.Join(c.Rundir, "ovs-vswitchd.*.ctl"))
	if err != nil || len(paths) != 1 {
		b.Fatalf("%v, %v", paths, err)
	}
	conn, err := net.Dial("unix", paths[0])
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	return &keptCaller{conn: conn, dec: json.NewDecoder(conn)}
}

func (k *keptCaller) Call(_ context.Context, method string, args ...string) (string, error) {
	if err := k.send(method, args); err != nil {
		return "", err
	}
	return k.receive()
}

func (k *keptCaller) send(method string, args []string) error {
	k.id++
	return json.NewEncoder(k.conn).Encode(map[string]any{"id": k.id, "method": method, "params": args})
}

func (k *keptCaller) receive() (string, error) {
	var reply struct {
		Result string
		Error  any
	}
	if err := k.dec.Decode(&reply); err != nil || reply.Error != nil {
		return "", fmt.Errorf("%v: %w", reply.Error, err)
	}
	return reply.Result, nil
}

// BenchmarkFollow: one direction, by what it takes: one call where nothing changes the
// packet; a second one behind a router; another one or two for a translation.
func BenchmarkFollow(b *testing.B) {
	w := newWays(b)
	all := ways(b)
	plain := all[0]
	plain.name, plain.tuple = "plain", "tcp,10.0.0.1:1,10.5.0.1:2"
	for _, y := range []way{plain, all[4], all[0], all[1]} {
		q, conn := y.query(b, w)
		b.Run(y.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := (&Tracer{Caller: w}).Follow(b.Context(), q, conn); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
