package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/flowshunt/flowshunt/pkg/control"
)

// The JSON form of "show".
type (
	statusDoc struct {
		Ready         bool           `json:"ready"`
		Problems      []string       `json:"problems"`
		Version       string         `json:"version"`
		Mode          string         `json:"mode"`
		ObserveReason string         `json:"observe_reason"`
		ObserveDetail string         `json:"observe_detail"`
		Now           any            `json:"now"`
		UptimeSeconds float64        `json:"uptime_seconds"`
		Components    []componentDoc `json:"components"`
		Budgets       []budgetDoc    `json:"budgets"`
		Tables        []tableDoc     `json:"tables"`
		LastDump      *dumpDoc       `json:"last_dump"`
		Ports         []portDoc      `json:"ports"`
		Wires         []wireDoc      `json:"wires"`
	}
	componentDoc struct {
		Name        string `json:"name"`
		Health      string `json:"health"`
		Since       any    `json:"since"`
		LastError   string `json:"last_error"`
		LastErrorAt any    `json:"last_error_at"`
	}
	budgetDoc struct {
		Name  string `json:"name"`
		Unit  string `json:"unit"`
		Used  uint64 `json:"used"`
		Limit uint64 `json:"limit"`
	}
	tableDoc struct {
		Eswitch    string   `json:"eswitch"`
		Rules      uint64   `json:"rules"`
		Believed   uint64   `json:"believed"`
		LearnedAt  any      `json:"learned_at"`
		Window     uint64   `json:"window"`
		Installing uint64   `json:"installing"`
		PerSecond  float64  `json:"installs_per_second"`
		Waiting    uint64   `json:"waiting"`
		Refused    uint64   `json:"refused"`
		Shut       []string `json:"shut"`
	}
	dumpDoc struct {
		At      any     `json:"at"`
		Seconds float64 `json:"seconds"`
		Entries uint64  `json:"entries"`
	}
	wireDoc struct {
		Name      string    `json:"name"`
		State     string    `json:"state"`
		Since     any       `json:"since"`
		Bridge    string    `json:"bridge"`
		Ports     [2]string `json:"ports"`
		Inspector []string  `json:"inspector"`
		FailMode  string    `json:"fail_mode"`
		Zones     [2]uint16 `json:"zones"`
		Detail    string    `json:"detail"`
		Problem   string    `json:"problem"`
	}
	portDoc struct {
		Name       string `json:"name"`
		Bridge     string `json:"bridge"`
		Ifindex    int32  `json:"ifindex"`
		Usable     bool   `json:"usable"`
		Reason     string `json:"reason"`
		Detail     string `json:"detail"`
		Sessions   uint64 `json:"sessions"`
		Candidates uint64 `json:"candidates"`
		Eswitch    string `json:"eswitch"`
		Function   string `json:"function"`
		Device     string `json:"device"`
		VFDevice   string `json:"vf_device"`
		HWTC       string `json:"hw_tc_offload"`
	}
)

func statusJSON(st *control.Status) statusDoc {
	doc := statusDoc{
		Ready: st.Ready, Problems: append([]string{}, problems(st)...), Version: st.Version, Mode: st.Mode.String(),
		ObserveReason: string(st.ObserveReason), ObserveDetail: st.ObserveDetail,
		Now: jsonTime(st.Now), UptimeSeconds: st.Uptime.Seconds(),
		Components: []componentDoc{}, Budgets: []budgetDoc{}, Tables: []tableDoc{}, Ports: []portDoc{}, Wires: []wireDoc{},
	}
	for _, c := range st.Components {
		doc.Components = append(doc.Components, componentDoc{c.Name, c.Health.String(),
			jsonTime(c.Since), c.LastError, jsonTime(c.LastErrorAt)})
	}
	for _, b := range st.Budgets {
		doc.Budgets = append(doc.Budgets, budgetDoc(b))
	}
	for _, e := range st.Tables {
		doc.Tables = append(doc.Tables, tableDoc{string(e.Eswitch), e.Rules, e.Believed, jsonTime(e.LearnedAt),
			e.Window, e.Installing, e.PerSecond, e.Waiting, e.Refused, append([]string{}, e.Shut...)})
	}
	for _, p := range st.Ports {
		doc.Ports = append(doc.Ports, portDoc{p.Name, p.Bridge, p.Ifindex, p.Usable,
			string(p.Reason), p.Detail, p.Sessions, p.Candidates,
			string(p.Eswitch), p.Function, p.Device, p.VFDevice, p.HWTCOffload})
	}
	for _, w := range st.Wires {
		doc.Wires = append(doc.Wires, wireDoc{w.Name, w.State, jsonTime(w.Since), w.Bridge, w.Ports, inspectorOf(&w), failMode(&w), w.Zones, w.Detail, w.Problem})
	}
	if d := st.LastDump; d != (control.Dump{}) {
		doc.LastDump = &dumpDoc{jsonTime(d.At), d.Took.Seconds(), d.Entries}
	}
	return doc
}

// inspectorOf are the ports of a wire's inspector, if there is one.
func inspectorOf(w *control.Wire) []string {
	if w.Inspectors[0] == "" {
		return []string{}
	}
	return w.Inspectors[:]
}

func jsonTime(t time.Time) any { return jsonValue(t) }

// statusCSV is one line for each property of each thing.
func statusCSV(st *control.Status) [][]string {
	rows := [][]string{{"section", "name", "property", "value"}}
	add := func(section, name, property string, value any) {
		rows = append(rows, []string{section, clean(name), property, clean(plain(value))})
	}
	add("agent", "", "ready", st.Ready)
	add("agent", "", "version", st.Version)
	add("agent", "", "mode", st.Mode)
	add("agent", "", "observe_reason", st.ObserveReason)
	add("agent", "", "observe_detail", st.ObserveDetail)
	add("agent", "", "now", st.Now)
	add("agent", "", "uptime_seconds", st.Uptime.Seconds())
	for i, p := range problems(st) {
		add("problem", fmt.Sprint(i+1), "text", p)
	}
	for _, c := range st.Components {
		add("component", c.Name, "health", c.Health)
		add("component", c.Name, "since", c.Since)
		add("component", c.Name, "last_error", c.LastError)
		add("component", c.Name, "last_error_at", c.LastErrorAt)
	}
	for _, b := range st.Budgets {
		add("budget", b.Name, "unit", b.Unit)
		add("budget", b.Name, "used", b.Used)
		add("budget", b.Name, "limit", b.Limit)
	}
	for _, e := range st.Tables {
		add("table", string(e.Eswitch), "rules", e.Rules)
		add("table", string(e.Eswitch), "believed", e.Believed)
		add("table", string(e.Eswitch), "learned_at", e.LearnedAt)
		add("table", string(e.Eswitch), "window", e.Window)
		add("table", string(e.Eswitch), "installing", e.Installing)
		add("table", string(e.Eswitch), "installs_per_second", e.PerSecond)
		add("table", string(e.Eswitch), "waiting", e.Waiting)
		add("table", string(e.Eswitch), "refused", e.Refused)
	}
	add("last_dump", "", "at", st.LastDump.At)
	add("last_dump", "", "seconds", st.LastDump.Took.Seconds())
	add("last_dump", "", "entries", st.LastDump.Entries)
	for _, w := range st.Wires {
		add("wire", w.Name, "state", w.State)
		add("wire", w.Name, "since", w.Since)
		add("wire", w.Name, "bridge", w.Bridge)
		add("wire", w.Name, "ports", w.Ports[0]+","+w.Ports[1])
		add("wire", w.Name, "inspector", strings.Join(inspectorOf(&w), ","))
		add("wire", w.Name, "fail_mode", failMode(&w))
		add("wire", w.Name, "zones", fmt.Sprintf("%d,%d", w.Zones[0], w.Zones[1]))
		add("wire", w.Name, "detail", w.Detail)
		add("wire", w.Name, "problem", w.Problem)
	}
	for _, p := range st.Ports {
		add("port", p.Name, "bridge", p.Bridge)
		add("port", p.Name, "ifindex", p.Ifindex)
		add("port", p.Name, "usable", p.Usable)
		add("port", p.Name, "reason", p.Reason)
		add("port", p.Name, "detail", p.Detail)
		add("port", p.Name, "sessions", p.Sessions)
		add("port", p.Name, "candidates", p.Candidates)
		add("port", p.Name, "eswitch", p.Eswitch)
		add("port", p.Name, "function", p.Function)
		add("port", p.Name, "device", p.Device)
		add("port", p.Name, "vf_device", p.VFDevice)
		add("port", p.Name, "hw_tc_offload", p.HWTCOffload)
	}
	return rows
}
