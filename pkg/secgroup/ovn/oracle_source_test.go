package ovn_test

import (
	"testing"

	"github.com/flowshunt/flowshunt/pkg/secgroup"
	"github.com/flowshunt/flowshunt/pkg/secgroup/ovn"
)

// source is what is examined.
func source(t testing.TB, c *central) secgroup.Source {
	t.Helper()
	s, err := ovn.NewSouthbound(ovn.Config{Remotes: c.southbound(), Chassis: chassis})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
