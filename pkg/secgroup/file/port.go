package file

import (
	"net/netip"
	"slices"

	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// port is a body of GET /v2.0/ports.
type port struct {
	id          string
	groups      []string // sorted, each once
	open        bool
	down        bool
	host        string
	vifType     string
	migratingTo string
	addresses   []netip.Prefix // that it may use
	tenant      secgroup.Names
}

func readPort(n *node) (p port, err error) {
	o, err := asObject(n)
	if err != nil {
		return p, err
	}
	if p.id, err = o.id("id"); err != nil {
		return p, err
	}
	secured, err := o.flag("port_security_enabled", true)
	if err != nil {
		return p, err
	}
	p.open = !secured
	up, err := o.flag("admin_state_up", true)
	if err != nil {
		return p, err
	}
	p.down = !up
	if err := p.readTenant(o); err != nil {
		return p, err
	}
	if err := p.readGroups(o); err != nil {
		return p, err
	}
	if err := p.readBinding(o); err != nil {
		return p, err
	}
	return p, p.readAddresses(o)
}

// readTenant reads whose the port is. The API has its project under two names.
func (p *port) readTenant(o object) error {
	for _, field := range []string{"project_id", "tenant_id"} {
		id, err := o.text(field)
		if err != nil {
			return err
		}
		switch {
		case o.get(field) == nil:
		case id == "": // of the service itself
			p.tenant = secgroup.Names{IDs: true, Named: true}
			return nil
		default:
			p.tenant = secgroup.Names{List: []string{id}, IDs: true}
			return nil
		}
	}
	return nil
}

func (p *port) readGroups(o object) error {
	err := o.each("security_groups", func(n *node) error {
		id, err := asText(n)
		p.groups = append(p.groups, id)
		return err
	})
	if err == nil && p.open && len(p.groups) > 0 {
		err = in("security_groups", wrong(o.get("security_groups"), "a port without port security has none"))
	}
	slices.Sort(p.groups)
	p.groups = slices.Compact(p.groups)
	return err
}

func (p *port) readBinding(o object) (err error) {
	if p.host, err = o.text("binding:host_id"); err != nil {
		return err
	}
	if p.vifType, err = o.text("binding:vif_type"); err != nil {
		return err
	}
	profile := o.get("binding:profile")
	if profile == nil {
		return nil
	}
	fields, err := asObject(profile)
	if err == nil {
		p.migratingTo, err = fields.value("migrating_to")
	}
	return in("binding:profile", err)
}

// readAddresses reads what ML2/OVS takes for the addresses of a remote group's member: its
// fixed IPs and its allowed address pairs, which may be prefixes
// (neutron/api/rpc/handlers/securitygroups_rpc.py). ML2/OVN takes the fixed IPs only.
func (p *port) readAddresses(o object) error {
	for _, field := range []string{"fixed_ips", "allowed_address_pairs"} {
		err := o.each(field, func(n *node) error {
			pair, err := asObject(n)
			if err != nil {
				return err
			}
			ip, err := pair.id("ip_address")
			if err != nil {
				return err
			}
			prefix, err := parsePrefix(ip)
			if err != nil {
				return in("ip_address", wrong(pair.get("ip_address"), "%v", err))
			}
			p.addresses = append(p.addresses, prefix)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
