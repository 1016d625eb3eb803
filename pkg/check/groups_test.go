package check

import (
	"testing"

	"github.com/flowshunt/flowshunt/ovsdb"
	"github.com/flowshunt/flowshunt/ovsdb/ovsdbtest"
)

func TestGuardedByOVN(t *testing.T) {
	sb := ovsdbtest.Start(t, "/usr/share/ovn/ovn-sb.ovsschema")
	n := &node{inventory: inventory{Snapshot: &ovsdb.Snapshot{Switch: ovsdb.Switch{OVNRemote: sb.Endpoint(), SystemID: "here"}}}}
	wantLines(t, says(t, n, guarded), "ok security groups: 0 ports have them; OVN's Southbound database has 0 rules for 0 ports here")
	n.Ports = []ovsdb.Port{{Name: "tap1", IfaceID: "lp1"}}
	wantLines(t, says(t, n, guarded), "warning security groups: 1 port has them; OVN's Southbound database has 0 rules for 0 ports here; left out: tap1 (sg-unknown)")
	sb.Kill()
	said(t, n, guarded, "warning security groups: 1 port has them: OVN's Southbound database is not read (")
	n.Switch.OVNRemote = "nonsense"
	said(t, n, guarded, "warning security groups: 1 port has them: OVN's Southbound database is not read (")
}
