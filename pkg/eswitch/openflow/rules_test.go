package openflow

import (
	"slices"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/eswitch/eswitchtest"
	of "github.com/flowshunt/flowshunt/pkg/openflow"
)

// TestScopes: of each class all rules are found, and the bridge tells of none besides.
func TestScopes(t *testing.T) {
	w := newWorld(t, Config{})
	e := w.prepared(t, w.driver)
	var all []flows.Session
	tag := flows.Tags{{Type: flows.TagCustomer, ID: 9}}
	for _, proto := range []flows.Proto{flows.TCP, flows.UDP, flows.SCTP, flows.ESP, flows.AH, flows.GRE} {
		for i, tags := range []flows.Tags{{}, {}, tag, tag} {
			all = append(all, w.Shaped(len(all)+1, eswitchtest.Shape{Proto: proto, V6: i%2 == 0, A: tags, B: tags, Hops: 1}))
		}
	}
	mustInstall(t, e, all...)
	p, err := w.driver.places(t.Context()).of(w.A)
	if err != nil {
		t.Fatal(err)
	}
	var found []eswitch.Ref
	read := func(class eswitch.Class) (refs []eswitch.Ref) {
		if err := w.driver.Rules(t.Context(), eswitch.Scope{Link: w.A, Class: class}, func(f *eswitch.Found) { refs = append(refs, f.Ref) }); err != nil {
			t.Fatal(err)
		}
		return refs
	}
	for class := eswitch.Class(1); class <= eswitch.AllClasses; class++ {
		refs, flows := read(class), 0
		for _, filter := range filtersOf(eswitch.Scope{Link: w.A, Class: class}, p.port) {
			filter.Table = of.AllTables
			err := p.bridge.reads.with(t.Context(), func(c *of.Client) error {
				return c.Flows(t.Context(), filter, func(*of.Flow) error { flows++; return nil })
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		each := 1
		if class.IsGuard() {
			each = fewHops
		}
		if flows != each*len(refs) {
			t.Errorf("%v: the bridge tells of %d flows for %d rules", class, flows, len(refs))
		}
		found = append(found, refs...)
	}
	whole := read(0)
	if len(whole) != len(all)+4 || len(found) != len(whole) || slices.ContainsFunc(whole, func(r eswitch.Ref) bool { return !slices.Contains(found, r) }) {
		t.Errorf("%d rules and guards, %d of them by class, want %d", len(whole), len(found), len(all)+4)
	}
}
