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
	out := flows.Path{Frame: r.Frame, Change: r.Change}.Leaves()
	for _, f := range [...]flows.Frame{r.Frame, out} {
		switch {
		case !f.Tunnel.IsZero():
			return fmt.Errorf("%w be told the outer header of a tunnel's device", errCannot)
		case f.Tags.Len() > 1:
			return fmt.Errorf("%w match a second tag", errCannot)
		case f.Tags.Len() == 1 && f.Tags[0].Type != flows.TagCustomer:
			return fmt.Errorf("%w match the type of a tag, that of a provider", errCannot)
		}
	}
	return nil
}
