package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/flowshunt/flowshunt/ovsdb/dbctl"
	"github.com/flowshunt/flowshunt/pkg/policy"
)

// policyColumn is a column of a policy, and where it is in a Spec: a pointer to []string, []int, int, *int or string.
type policyColumn struct {
	name string
	in   func(*policy.Spec) any
}

// conditions are the columns that say which connections are meant, in the order of docs/policy.md.
var conditions = []policyColumn{
	{"protocols", func(s *policy.Spec) any { return &s.Protocols }},
	{"src_prefixes", func(s *policy.Spec) any { return &s.SrcPrefixes }},
	{"dst_prefixes", func(s *policy.Spec) any { return &s.DstPrefixes }},
	{"src_ports", func(s *policy.Spec) any { return &s.SrcPorts }},
	{"dst_ports", func(s *policy.Spec) any { return &s.DstPorts }},
	{"interfaces", func(s *policy.Spec) any { return &s.Interfaces }},
	{"iface_ids", func(s *policy.Spec) any { return &s.IfaceIDs }},
	{"security_groups", func(s *policy.Spec) any { return &s.SecurityGroups }},
	{"tenants", func(s *policy.Spec) any { return &s.Tenants }},
	{"dscp", func(s *policy.Spec) any { return &s.DSCP }},
	{"applications", func(s *policy.Spec) any { return &s.Applications }},
	{"server_names", func(s *policy.Spec) any { return &s.ServerNames }},
}

// terms are the columns that say when they are offloaded, and for how long.
var terms = []policyColumn{
	{"elephant_bytes", func(s *policy.Spec) any { return &s.ElephantBytes }},
	{"elephant_rate", func(s *policy.Spec) any { return &s.ElephantRate }},
	{"elephant_age", func(s *policy.Spec) any { return &s.ElephantAge }},
	{"inspect_packets", func(s *policy.Spec) any { return &s.InspectPackets }},
	{"max_lifetime", func(s *policy.Spec) any { return &s.MaxLifetime }},
	{"reinspect_interval", func(s *policy.Spec) any { return &s.ReinspectInterval }},
}

// specOf returns what a row says.
func specOf(row *dbctl.Row, table *dbctl.Table) policy.Spec {
	s := policy.Spec{Name: text(row, table, "name"), Verdict: text(row, table, "verdict"),
		Priority: number(row, table, "priority"), Disabled: text(row, table, "enabled") == "false"}
	for _, c := range slices.Concat(conditions, terms) {
		load(row, table, c.name, c.in(&s))
	}
	return s
}

// profileOf is specOf of a decryption profile.
func profileOf(row *dbctl.Row, table *dbctl.Table) policy.ProfileSpec {
	s := specOf(row, table)
	return policy.ProfileSpec{Name: s.Name, Disabled: s.Disabled, DstPrefixes: s.DstPrefixes, DstPorts: s.DstPorts, ServerNames: s.ServerNames}
}

// load reads a column of a row; one that the table does not have is empty.
func load(row *dbctl.Row, table *dbctl.Table, name string, into any) {
	column := table.Columns[name]
	if column == nil {
		return
	}
	for _, atom := range row.Get(column).Keys {
		n, _ := atom.(int64)
		s, _ := atom.(string)
		switch p := into.(type) {
		case *[]string:
			*p = append(*p, s)
		case *[]int:
			*p = append(*p, int(n))
		case *int:
			*p = int(n)
		case **int:
			value := int(n)
			*p = &value
		}
	}
}

// words are those of columns that are not empty: COLUMN=VALUE, as assign reads it.
func words(s *policy.Spec, columns []policyColumn) []string {
	var list []string
	for _, c := range columns {
		if value := valueOf(c.in(s)); value != "" {
			list = append(list, c.name+"="+value)
		}
	}
	return list
}

func valueOf(field any) string {
	switch p := field.(type) {
	case *[]string:
		return valuesOf(*p)
	case *[]int:
		var list []string
		for _, n := range *p {
			list = append(list, strconv.Itoa(n))
		}
		return valuesOf(list)
	case *int:
		if *p != 0 {
			return strconv.Itoa(*p)
		}
	case **int:
		if *p != nil {
			return strconv.Itoa(**p)
		}
	}
	return ""
}

// valuesOf writes a set: numbers in their order, in quotation marks where something could not be read otherwise.
func valuesOf(list []string) string {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b string) int { return cmp.Or(cmp.Compare(leading(a), leading(b)), strings.Compare(a, b)) })
	if slices.ContainsFunc(list, func(s string) bool { return strings.ContainsAny(s, "\"[\\, ") }) {
		for i, s := range list {
			data, err := json.Marshal(s)
			if err != nil {
				data = fmt.Append(nil, strconv.Quote(s))
			}
			list[i] = string(data)
		}
	}
	return strings.Join(list, ",")
}

// leading is the number that a string begins with, 0 if it does not.
func leading(s string) int {
	end := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(s)
	}
	n, _ := strconv.Atoi(s[:end])
	return n
}
