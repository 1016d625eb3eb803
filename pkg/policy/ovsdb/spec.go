package ovsdb

import (
	"slices"

	"github.com/flowshunt/flowshunt/ovsdb/flowshunt"
	"github.com/flowshunt/flowshunt/pkg/policy"
	"github.com/flowshunt/flowshunt/pkg/wire"
)

// specOf returns what a row says. Sets have no order: they are sorted, so that equal rows
// are equal. An empty optional column is its default.
func specOf(r *flowshunt.OffloadPolicy) policy.Spec {
	dscp := slices.Clone(r.DSCP)
	slices.Sort(dscp)
	return policy.Spec{
		Name: r.Name, Priority: r.Priority, Disabled: r.Enabled != nil && !*r.Enabled,
		Protocols:   sorted(r.Protocols),
		SrcPrefixes: sorted(r.SrcPrefixes), DstPrefixes: sorted(r.DstPrefixes),
		SrcPorts: sorted(r.SrcPorts), DstPorts: sorted(r.DstPorts),
		Interfaces: sorted(r.Interfaces), IfaceIDs: sorted(r.IfaceIDs),
		SecurityGroups: sorted(r.SecurityGroups), Tenants: sorted(r.Tenants),
		DSCP: dscp, Applications: sorted(r.Applications), ServerNames: sorted(r.ServerNames),
		Verdict:       value(r.Verdict),
		ElephantBytes: value(r.ElephantBytes), ElephantRate: value(r.ElephantRate), ElephantAge: value(r.ElephantAge),
		InspectPackets: r.InspectPackets, MaxLifetime: value(r.MaxLifetime), ReinspectInterval: value(r.ReinspectInterval),
	}
}

func profileOf(r *flowshunt.DecryptionProfile) policy.ProfileSpec {
	return policy.ProfileSpec{
		Name: r.Name, Disabled: r.Enabled != nil && !*r.Enabled,
		DstPrefixes: sorted(r.DstPrefixes), DstPorts: sorted(r.DstPorts), ServerNames: sorted(r.ServerNames),
	}
}

func wireOf(r *flowshunt.Wire) wire.Row {
	return wire.Row{
		ID: r.UUID, Name: r.Name, Node: value(r.SystemID), Disabled: r.Enabled != nil && !*r.Enabled,
		Ports: [2]string{r.Port0, r.Port1}, Inspectors: [2]string{value(r.Inspector0), value(r.Inspector1)},
		FailMode: r.FailMode, ProbeInterval: value(r.ProbeInterval),
	}
}

func sorted(set []string) []string {
	list := slices.Clone(set)
	slices.Sort(list)
	return list
}

// value returns what an optional column holds, or the zero value.
func value[T any](v *T) (t T) {
	if v != nil {
		t = *v
	}
	return t
}
