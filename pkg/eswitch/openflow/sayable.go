package openflow

import (
	"fmt"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
)

var errCannot = fmt.Errorf("%w: OpenFlow cannot", eswitch.ErrRefused)

// sayable returns why a rule cannot be a flow. A match of OpenFlow sees the outermost tag
// of a packet, and not of which type it is.
func sayable(r *flows.Rule) error {
	if err := frameSayable(r.Frame, r.In); err != nil || r.Out == 0 {
		return err
	}
	return frameSayable(flows.Path{Frame: r.Frame, Change: r.Change}.Leaves(), r.Out)
}

// frameSayable is sayable for one end, at a device.
func frameSayable(f flows.Frame, link int32) error {
	switch {
	case f.Tags.Len() > 1:
		return fmt.Errorf("%w match a second tag", errCannot)
	case f.Tags.Len() == 1 && f.Tags[0].Type != flows.TagCustomer:
		return fmt.Errorf("%w match the type of a tag, that of a provider", errCannot)
	case f.Tunnel.Value().Options != "":
		return fmt.Errorf("%w look at options of Geneve that are no fields of the bridge", errCannot)
	case f.Tunnel.IsZero() == isTunnelLink(link):
		return fmt.Errorf("%w say a tunnel but at the tunnel's own port, ifindex %d", errCannot, link)
	}
	return nil
}
