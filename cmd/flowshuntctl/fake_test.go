package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/control"
)

var now = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return now.Add(-d) }

// fake is a scripted agent: healthy, troubled, nic, empty, hangs, panics, fails,
// huge, ends.
type fake string

func (f fake) misbehave(ctx context.Context) error {
	switch f {
	case "hangs":
		<-ctx.Done()
		return ctx.Err()
	case "panics":
		panic("a bug")
	case "fails":
		return errors.New("conntrack dump: no buffer space available")
	}
	return nil
}

func (f fake) Show(ctx context.Context) (control.Status, error) {
	if err := f.misbehave(ctx); err != nil {
		return control.Status{}, err
	}
	switch f {
	case "troubled":
		return troubled(), nil
	case "nic":
		return nic(), nil
	case "empty":
		return control.Status{Version: "0.1.0", Mode: control.ModeObserve, Now: now, Ready: true}, nil
	case "huge":
		st := healthy()
		for i := range 5000 {
			st.Ports = append(st.Ports, control.Port{Name: fmt.Sprint(i), Detail: strings.Repeat("x", 2000)})
		}
		return st, nil
	}
	return healthy(), nil
}

func (f fake) Sessions(ctx context.Context, all bool) (iter.Seq[control.Session], error) {
	if err := f.misbehave(ctx); err != nil {
		return nil, err
	}
	if f == "empty" {
		return slices.Values([]control.Session{}), nil
	}
	list := sessions()
	if !all {
		list = slices.DeleteFunc(list, func(s control.Session) bool { return s.State == control.StateFollowing })
	}
	return slices.Values(list), nil
}

func (f fake) Why(ctx context.Context, q control.Question) (control.Explanation, error) {
	if err := f.misbehave(ctx); err != nil {
		return control.Explanation{}, err
	}
	e := control.Explanation{Checks: []control.Check{{Name: "mode", Result: control.ResultOK, Detail: "enforce"}}}
	for _, entry := range entries() {
		t := entry.Key.Tuple
		if q.Zone != nil && *q.Zone != entry.Key.Zone {
			continue
		}
		switch q.Tuple {
		case t:
		case t.Reverse():
			entry.Dir = flows.Reply
		default:
			continue
		}
		e.Entries = append(e.Entries, entry)
	}
	if len(e.Entries) == 0 {
		e.Reason = flows.Gone
	}
	return e, nil
}

func (f fake) Stats(ctx context.Context) ([]control.Stat, error) {
	if err := f.misbehave(ctx); err != nil {
		return nil, err
	}
	return []control.Stat{
		{Name: "offloaded_bytes", Value: 18446744073709551615},
		{Name: "connections", Labels: map[string]string{"reason": "mouse"}, Value: 51234},
		{Name: "installs", Labels: map[string]string{"result": "ok", "driver": "tc"}, Value: 12},
		{Name: "connections", Labels: map[string]string{"reason": "elephant"}, Value: 2},
	}, nil
}

// churn has its sessions only every other time that it is asked.
type churn struct {
	fake
	asked atomic.Int32
}

func (c *churn) Sessions(ctx context.Context, all bool) (iter.Seq[control.Session], error) {
	if c.asked.Add(1)%2 == 0 {
		return slices.Values([]control.Session{}), nil
	}
	return c.fake.Sessions(ctx, all)
}

func tuple(s string) flows.Tuple {
	t, err := flows.ParseTuple(s)
	if err != nil {
		panic(err)
	}
	return t
}

func healthy() control.Status {
	return control.Status{
		Version: "0.1.0", Mode: control.ModeEnforce, Now: now, Uptime: 3*time.Hour + 12*time.Minute, Ready: true,
		Components: []control.Component{
			{Name: "ovsdb", Health: control.HealthOK, Since: ago(3 * time.Hour)},
			{Name: "conntrack-dump", Health: control.HealthOK, Since: ago(3 * time.Hour)},
			{Name: "conntrack-events", Health: control.HealthOK, Since: ago(4 * time.Minute),
				LastError: "overrun", LastErrorAt: ago(5 * time.Minute)},
			{Name: "eswitch", Health: control.HealthOK, Since: ago(3 * time.Hour)},
		},
		Budgets: []control.Budget{
			{Name: "table", Unit: "sessions", Used: 2, Limit: 50000},
			{Name: "insertion", Unit: "sessions/s", Used: 0, Limit: 1000},
			{Name: "following", Unit: "connections", Used: 51236},
		},
		Tables: []control.Table{
			{Rules: 4, Window: 8},
			{Eswitch: "0a1b2c3d4e5f", Rules: 1000, Believed: 1002, LearnedAt: ago(21 * time.Second),
				Window: 12, Installing: 3, PerSecond: 248.6, Waiting: 4500, Refused: 391},
		},
		LastDump: control.Dump{At: ago(2 * time.Second), Took: 412 * time.Millisecond, Entries: 51240},
		Ports: []control.Port{
			{Name: "vnet0", Bridge: "br-int", Ifindex: 10, Usable: true, Sessions: 2},
			{Name: "vnet1", Bridge: "br-int", Ifindex: 11, Usable: true, Sessions: 1, Candidates: 3},
			{Name: "br-int", Bridge: "br-int", Ifindex: 5, Reason: flows.PortUnchosen},
		},
	}
}

// nic is a healthy node with a NIC in switchdev mode.
func nic() control.Status {
	st := healthy()
	const id = "a08a1e00039c63b8"
	st.Ports = []control.Port{
		{Name: "enp3s0f0_0", Bridge: "br-int", Ifindex: 10, Usable: true, Sessions: 2, Eswitch: id, Function: "pf0vf0",
			Device: "pci/0000:03:00.0", HWTCOffload: "on"},
		{Name: "enp3s0f0_1", Bridge: "br-int", Ifindex: 11, Reason: flows.PortNotInHW, Function: "pf0vf1",
			Device: "pci/0000:03:00.0", VFDevice: "eth3", HWTCOffload: "off",
			Detail: "hw-tc-offload of enp3s0f0_1 is off: ethtool -K enp3s0f0_1 hw-tc-offload on"},
		{Name: "enp3s0f0np0", Bridge: "br-ex", Ifindex: 9, Usable: true, Sessions: 2, Eswitch: id, Function: "uplink p0",
			Device: "pci/0000:03:00.0", HWTCOffload: "on"},
		{Name: "eth4", Bridge: "br-int", Ifindex: 12, Reason: flows.PortNotInHW, HWTCOffload: "not supported",
			Detail: "eth4 is virtual function 2 of pf0 itself; its representor is enp3s0f0_2"},
		{Name: "rep9", Bridge: "br-int", Ifindex: 13, Usable: true, Eswitch: "01", HWTCOffload: "unknown"},
	}
	return st
}

func troubled() control.Status {
	st := healthy()
	st.Ready = false
	st.ObserveReason, st.ObserveDetail = flows.OVSHWOffload, "other_config:hw-offload=true"
	st.Components[0] = control.Component{Name: "ovsdb", Health: control.HealthFailed, Since: ago(4 * time.Minute),
		LastError: "dial unix /run/openvswitch/db.sock: \x1b[2Jno such file", LastErrorAt: ago(time.Second)}
	st.Components[3].Health = control.HealthStarting
	st.Budgets[0].Used = 50000
	st.Tables[1].Shut = []string{"tcp over IPv6: cannot match TCP flags there"}
	for i := range 14 {
		st.Ports = append(st.Ports, control.Port{Name: fmt.Sprintf("vnet%d", i+2), Bridge: "br-int",
			Ifindex: int32(12 + i), Reason: flows.PortQoS, Detail: "ingress_policing_rate=1000"})
	}
	return st
}

func sessions() []control.Session {
	ipv6 := flows.Tuple{Proto: flows.UDP, Src: netip.MustParseAddr("2001:db8::1"), SrcPort: 500,
		Dst: netip.MustParseAddr("2001:db8::2"), DstPort: 4500}
	return []control.Session{
		{Tuple: tuple("tcp,10.0.0.9:1234,10.0.0.2:80"), Zones: []flows.Zone{10}, State: control.StateFollowing,
			Reason: flows.Mouse, Rate: 12_345, SlowBytes: 999_999, Since: ago(90 * time.Second), In: "vnet0", Out: "vnet1"},
		{ID: 2, Tuple: ipv6, Zones: []flows.Zone{10, 11}, State: control.StateCandidate, Verdict: flows.Offload,
			Reason: flows.TableFull, Detail: "50000 of 50000, \"least\" value 3 MB/s, \nline", Rate: 2_500_000, SlowBytes: 40_000_000, Since: ago(time.Second)},
		{ID: 1, Generation: 7, Tuple: tuple("tcp,10.0.0.1:40000,10.0.0.2:5201"), Zones: []flows.Zone{10, 11},
			State: control.StateOffloaded, Verdict: flows.Offload, Reason: flows.Elephant, Rate: 93_234_567, SlowBytes: 12_000_000,
			Offloaded: [2]flows.Counters{{Packets: 433_333, Bytes: 650_000_000}, {Packets: 21_000, Bytes: 1_100_000}},
			Since:     ago(26 * time.Hour), In: "vnet0", Out: "vnet1", InHW: true},
		{Tuple: tuple("esp,10.0.0.3,10.0.0.4"), State: control.StateFollowing, Reason: flows.UnsupportedNAT, Since: ago(time.Hour)},
	}
}

func entries() []control.Entry {
	elephant, mouse := tuple("tcp,10.0.0.1:40000,10.0.0.2:5201"), tuple("tcp,10.0.0.9:1234,10.0.0.2:80")
	ok := func(name, detail string) control.Check {
		return control.Check{Name: name, Result: control.ResultOK, Detail: detail}
	}
	offloaded := func(zone flows.Zone, id uint32) control.Entry {
		return control.Entry{
			Key: flows.EntryKey{ID: id, Zone: zone, Tuple: elephant}, Followed: true, Session: 1,
			State: control.StateOffloaded, Verdict: flows.Offload, Reason: flows.Elephant, Detail: "93.2 MB/s over 20 s, threshold 1 MB/s",
			Checks: []control.Check{ok("established", "ESTABLISHED, assured"), ok("size", "650 MB"), ok("path", "vnet0 to vnet1")},
		}
	}
	return []control.Entry{
		offloaded(10, 77), offloaded(11, 78),
		{
			Key: flows.EntryKey{ID: 80, Zone: 10, Tuple: mouse}, Followed: true, State: control.StateFollowing, Reason: flows.Mouse,
			Detail: "12.3 kB/s, threshold 1 MB/s",
			Checks: []control.Check{
				ok("established", "ESTABLISHED, assured"),
				{Name: "size", Result: control.ResultFailed, Detail: "12.3 kB/s, wanted 1 MB/s"},
				{Name: "path", Result: control.ResultNotReached},
			},
		},
		{
			Key: flows.EntryKey{ID: 81, Zone: 12, Tuple: tuple("tcp,10.0.0.5:1,10.0.0.6:2")}, Reason: flows.PathUnknown,
			Checks: []control.Check{{Name: "path", Result: control.ResultUnknown, Detail: "no FDB entry for 0a:00:00:00:00:06"}},
		},
	}
}
