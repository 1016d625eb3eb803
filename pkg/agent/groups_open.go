package agent

import (
	"cmp"
	"errors"
	"os"

	"github.com/flowshunt/flowshunt/ovsdb"
	"github.com/flowshunt/flowshunt/ovsdb/client"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
	"github.com/flowshunt/flowshunt/pkg/secgroup/file"
	"github.com/flowshunt/flowshunt/pkg/secgroup/ovn"
)

func (g *groups) chooseFile(*ovsdb.Snapshot) (opening, error) {
	host := g.cfg.Groups.Host
	if host == "" {
		var err error
		if host, err = os.Hostname(); err != nil {
			return opening{}, err
		}
	}
	cfg := file.Config{Path: g.cfg.Groups.File, Host: host}
	return opening{cfg, func() (secgroup.Source, error) { return file.New(cfg), nil }}, nil
}

func (g *groups) chooseSouthbound(s *ovsdb.Snapshot) (opening, error) {
	cfg := g.ovn(s)
	cfg.Remotes = g.southbound(s)
	cfg.Chassis = cmp.Or(g.cfg.Groups.Chassis, s.Switch.SystemID)
	switch {
	case cfg.Remotes == "":
		return opening{}, errNoOVN
	case cfg.Chassis == "":
		return opening{}, errors.New("which chassis this is Open vSwitch does not say (external_ids:system-id): say it with --ovn-chassis")
	}
	return opening{cfg, func() (secgroup.Source, error) { return ovn.NewSouthbound(cfg) }}, nil
}

func (g *groups) chooseNorthbound(s *ovsdb.Snapshot) (opening, error) {
	cfg := g.ovn(s)
	cfg.Remotes = g.cfg.Groups.Northbound
	return opening{cfg, func() (secgroup.Source, error) { return ovn.NewNorthbound(cfg) }}, nil
}

// ovn returns what both databases have in common.
func (g *groups) ovn(s *ovsdb.Snapshot) ovn.Config {
	own := g.cfg.Groups
	files := client.TLS{PrivateKey: own.Key, Certificate: own.Certificate, CACert: own.CACert}
	return ovn.Config{DropGroup: own.DropGroup, TLS: files.Or(s.Switch.TLS)}
}
