package eswitch_test

import (
	"context"
	"slices"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/eswitch/eswitchtest"
	"github.com/flowshunt/flowshunt/pkg/eswitch/model"
)

// TestSplitConformance: whichever driver the ports belong to, the whole is a driver.
func TestSplitConformance(t *testing.T) {
	for n, name := range []string{"first", "second"} {
		t.Run(name, func(t *testing.T) {
			eswitchtest.Run(t, func(*testing.T) *eswitchtest.Rig {
				models := []*model.Model{model.New(model.Config{}, 1, 2), model.New(model.Config{}, 1, 2)}
				s := eswitch.NewSplit(models[0], models[1])
				s.Assign(1, n)
				s.Assign(2, n)
				return &eswitchtest.Rig{
					Driver: s, A: 1, B: 2,
					Gone:   func() { models[0].RemoveLink(2); models[1].RemoveLink(2) },
					Vanish: func(f eswitch.Found) { models[n].Delete(f.Ref) },
				}
			})
		})
	}
}

// TestSplitReassigned: a port that goes to another driver loses what stands at the old
// one.
func TestSplitReassigned(t *testing.T) {
	models := []*model.Model{model.New(model.Config{}, 1, 2), model.New(model.Config{}, 1, 2)}
	s := eswitch.NewSplit(models[0], models[1])
	e := eswitch.New(s, eswitch.Config{})
	r := &eswitchtest.Rig{Driver: s, A: 1, B: 2}
	for n, m := range models {
		for _, link := range []int32{1, 2} {
			s.Assign(link, n)
			if err := e.PreparePort(t.Context(), link); err != nil {
				t.Fatal(err)
			}
		}
		if res := e.Install(t.Context(), []flows.Session{r.Session(n+1, flows.TCP, false)}); res[0].Err != nil {
			t.Fatal(res[0].Err)
		}
		if m.Len() != 2 {
			t.Errorf("driver %d has %d rules, want 2", n, m.Len())
		}
	}
	if err := e.ReleasePort(t.Context(), 1); err != nil || models[0].Len()+models[1].Len() != 0 {
		t.Errorf("left %d and %d, %v", models[0].Len(), models[1].Len(), err)
	}
}

// TestSplitForgets: nothing is kept in mind of a port that was released, unless something
// may have stayed there.
func TestSplitForgets(t *testing.T) {
	refuse := true
	models := []*model.Model{model.New(model.Config{}, 1), model.New(model.Config{}, 1)}
	s := eswitch.NewSplit(models[0], stubborn{models[1], &refuse})
	prepared := func() (n []int) {
		if err := s.Prepare(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		for i, m := range models {
			if links, err := m.Links(t.Context()); err != nil {
				t.Error(err)
			} else if len(links) > 0 {
				n = append(n, i)
			}
		}
		return n
	}
	s.Assign(1, 1)
	if err := s.Release(t.Context(), 1); err == nil {
		t.Error("an error was lost")
	}
	if at := prepared(); !slices.Equal(at, []int{1}) {
		t.Errorf("after a release that failed it is at %v", at)
	}
	refuse = false
	if err := s.Release(t.Context(), 1); err != nil {
		t.Error(err)
	}
	if at := prepared(); !slices.Equal(at, []int{0}) {
		t.Errorf("after a release it is at %v, want the first", at)
	}
}

// stubborn is a driver that may refuse to release ports.
type stubborn struct {
	*model.Model
	refuse *bool
}

func (d stubborn) Release(ctx context.Context, link int32) error {
	if *d.refuse {
		return errKernel
	}
	return d.Model.Release(ctx, link)
}
