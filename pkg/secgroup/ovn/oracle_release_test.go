package ovn_test

import (
	"os"
	"path/filepath"
	"testing"
)

// release is an OVN whose programs can run here.
type release struct {
	bin    string // where its programs are
	schema string // where its database schemas are
}

// oldest is what Debian 12 ships (23.03), with the stages ls_in_acl and ls_out_acl.
func oldest(t testing.TB) release {
	return release{bin: "/usr/bin", schema: "/usr/share/ovn"}.need(t, "ovn-central is not installed")
}

// newer is what hack/ovn-newer unpacks (Debian 13: 25.03), with the stages
// ls_*_acl_eval, _sample and _action, tiers and more actions.
func newer(t testing.TB) release {
	root, err := filepath.Abs("../../../build/ovn-newer")
	if err != nil {
		t.Fatal(err)
	}
	return release{bin: root + "/bin", schema: root + "/schema"}.need(t, "build/ovn-newer is not there (make ovn-newer)")
}

func (r release) need(t testing.TB, missing string) release {
	t.Helper()
	for _, file := range []string{r.bin + "/ovn-northd", r.schema + "/ovn-sb.ovsschema"} {
		if _, err := os.Stat(file); err != nil {
			t.Skip(missing)
		}
	}
	return r
}
