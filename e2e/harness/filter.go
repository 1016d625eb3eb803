package harness

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Filter is a tc filter as `tc -s -j filter show` prints it.
type Filter struct {
	Dev      string
	Protocol string // ip, ipv6, all, 802.1Q
	Pref     uint32
	Kind     string // flower, u32, ...
	Handle   uint32
	Keys     map[string]any // what a flower filter matches: src_ip, tcp_flags, ...
	SkipHW   bool
	SkipSW   bool
	InHW     bool
	Actions  []Action
}

// Action is one action of a filter.
type Action struct {
	Kind  string `json:"kind"`
	ToDev string `json:"to_dev"`
	// Cookie is in hexadecimal digits.
	Cookie string `json:"cookie"`
	Stats  struct {
		Bytes   uint64 `json:"bytes"`
		Packets uint64 `json:"packets"`
	} `json:"stats"`
}

// Packets is what the filter's first action counted.
func (f Filter) Packets() uint64 {
	if len(f.Actions) == 0 {
		return 0
	}
	return f.Actions[0].Stats.Packets
}

// Bytes is what the filter's first action counted.
func (f Filter) Bytes() uint64 {
	if len(f.Actions) == 0 {
		return 0
	}
	return f.Actions[0].Stats.Bytes
}

// Cookie is the cookie of the filter's first action that has one.
func (f Filter) Cookie() string {
	for _, a := range f.Actions {
		if a.Cookie != "" {
			return a.Cookie
		}
	}
	return ""
}

// String is the filter's match in one line.
func (f Filter) String() string {
	return fmt.Sprintf("%s pref %d %s %s %v packets %d", f.Dev, f.Pref, f.Protocol, f.Kind, f.Keys, f.Packets())
}

// Filters lists the ingress filters of a device. A device without a qdisc that
// could have some has none.
func (n *Node) Filters(dev string) ([]Filter, error) {
	out, err := n.Try("tc", "-s", "-j", "filter", "show", "dev", dev, "ingress")
	if err != nil {
		return nil, err
	}
	return parseFilters(dev, out)
}

// Rules lists the ingress flower filters of all virtual machines' ports, of uplinks and
// of tunnels' devices.
func (w *World) Rules() []Filter {
	w.T.Helper()
	var rules []Filter
	var devs []string
	for _, vm := range w.vms {
		devs = append(devs, vm.Rep)
	}
	for _, dev := range append(devs, w.rulePorts...) {
		filters, err := w.Filters(dev)
		if err != nil {
			w.T.Fatal(err)
		}
		for _, f := range filters {
			if f.Kind == "flower" {
				rules = append(rules, f)
			}
		}
	}
	return rules
}

func parseFilters(dev, text string) ([]Filter, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	var raw []struct {
		Protocol string `json:"protocol"`
		Pref     uint32 `json:"pref"`
		Kind     string `json:"kind"`
		Options  *struct {
			Handle  uint32         `json:"handle"`
			Keys    map[string]any `json:"keys"`
			SkipHW  bool           `json:"skip_hw"`
			SkipSW  bool           `json:"skip_sw"`
			InHW    bool           `json:"in_hw"`
			Actions []Action       `json:"actions"`
		} `json:"options"`
	}
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		return nil, fmt.Errorf("tc's output: %w: %q", err, text)
	}
	var filters []Filter
	for _, r := range raw {
		if r.Options == nil {
			continue // a chain's head, no filter
		}
		o := r.Options
		filters = append(filters, Filter{dev, r.Protocol, r.Pref, r.Kind, o.Handle, o.Keys, o.SkipHW, o.SkipSW, o.InHW, o.Actions})
	}
	return filters, nil
}
