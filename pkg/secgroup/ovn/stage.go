package ovn

import "github.com/flowshunt/flowshunt/flows"

// stageKind is what the flows of a stage do.
type stageKind uint8

const (
	acts    stageKind = iota // an ACL acts at once: OVN up to 23.03
	judges                   // an ACL leaves a verdict in a register: 23.06 and later
	carries                  // carries out the verdict, and what is done without one
	stageKinds
)

// stage is a stage of northd's pipeline that carries out ACLs.
type stage struct {
	kind      stageKind
	direction flows.Direction
	afterLB   bool // behind load balancing: it sees other addresses than the tuple's
}

// stages are by what external_ids:stage-name of a Logical_Flow says. The numbers of their tables
// differ from release to release.
var stages = map[string]stage{
	"ls_in_acl":                 {acts, flows.Egress, false},
	"ls_out_acl":                {acts, flows.Ingress, false},
	"ls_in_acl_after_lb":        {acts, flows.Egress, true},
	"ls_in_acl_eval":            {judges, flows.Egress, false},
	"ls_out_acl_eval":           {judges, flows.Ingress, false},
	"ls_in_acl_after_lb_eval":   {judges, flows.Egress, true},
	"ls_in_acl_action":          {carries, flows.Egress, false},
	"ls_out_acl_action":         {carries, flows.Ingress, false},
	"ls_in_acl_after_lb_action": {carries, flows.Egress, true},
}
