package agent

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// Groups says where it stands what security groups permit.
type Groups struct {
	// Kinds are the sources that are asked, all of which must permit a connection. Empty:
	// none is; ports with security groups are offloaded only with Config.TrustOVS.
	Kinds []GroupsKind
	File  string // of GroupsFile
	Host  string // binding:host_id that is this host; empty: its name

	Southbound, Northbound   string // remotes; an empty Southbound is external_ids:ovn-remote, an empty Northbound none
	Chassis                  string // ours; empty: external_ids:system-id
	CACert, Certificate, Key string // files, PEM; empty: those of the Open vSwitch database (ovs-vsctl set-ssl)
	DropGroup                string // the port group that denies what no security group permits
}

// GroupsKind is a kind of source.
type GroupsKind string

// The kinds. GroupsAuto is GroupsOVN where Open vSwitch names a Southbound database
// (external_ids:ovn-remote), at any time; else as if there were none.
const (
	GroupsAuto GroupsKind = "auto"
	GroupsOVN  GroupsKind = "ovn"
	GroupsFile GroupsKind = "file"
)

// ParseGroups reads what --security-groups says: auto, none, or ovn and file:PATH, separated
// by commas.
func ParseGroups(s string, into *Groups) error {
	into.Kinds, into.File = nil, ""
	if s == "none" {
		return nil
	}
	for item := range strings.SplitSeq(s, ",") {
		kind, path, hasPath := strings.Cut(strings.TrimSpace(item), ":")
		switch k := GroupsKind(kind); {
		case slices.Contains(into.Kinds, k):
			return fmt.Errorf("%q: %s is named twice", s, kind)
		case k == GroupsFile && path != "":
			into.File = path
			into.Kinds = append(into.Kinds, k)
		case k == GroupsFile:
			return fmt.Errorf("%q: want the file's name, as file:/etc/flowshunt/groups.yaml", s)
		case (k == GroupsAuto || k == GroupsOVN) && !hasPath:
			into.Kinds = append(into.Kinds, k)
		default:
			return fmt.Errorf("%q: want auto, none, or ovn and file:PATH, comma-separated", s)
		}
	}
	if slices.Contains(into.Kinds, GroupsAuto) && len(into.Kinds) > 1 {
		return fmt.Errorf("%q: auto stands alone", s)
	}
	return nil
}

// Validate says what is wrong with g, or nil.
func (g Groups) Validate() error {
	var errs []error
	for name, file := range map[string]string{"CA certificate": g.CACert, "certificate": g.Certificate, "private key": g.Key} {
		if file == "" {
			continue
		}
		if _, err := os.Stat(file); err != nil {
			errs = append(errs, fmt.Errorf("OVN's %s: %w", name, err))
		}
	}
	if (g.Certificate == "") != (g.Key == "") {
		errs = append(errs, errors.New("OVN's certificate and private key: one without the other is of no use"))
	}
	return errors.Join(errs...)
}

// AsksOVN reports whether OVN's databases are among the sources, if there are some.
func (g Groups) AsksOVN() bool {
	return slices.Contains(g.Kinds, GroupsOVN) || slices.Contains(g.Kinds, GroupsAuto)
}
