package ovn

import (
	"strconv"
	"strings"

	"github.com/flowshunt/flowshunt/ovsdb/ovnsb"
)

// From 22.06 on northd drops what a port that is switched off sends by a flow of this stage,
// and what is for it by another one (northd/northd.c, build_lswitch_port_sec_op). Port_Binding
// does not tell.
const (
	disablingStage   = "ls_in_check_port_sec"
	disablingActions = "reg0[15] = 1; next;"
)

// disabledBy returns the port that a flow drops everything from; empty: it is another flow.
func disabledBy(row *ovnsb.LogicalFlow) string {
	if row == nil || row.Actions != disablingActions || row.ExternalIDs["stage-name"] != disablingStage {
		return ""
	}
	quoted, _ := strings.CutPrefix(row.Match, "inport == ")
	name, err := strconv.Unquote(quoted)
	if err != nil {
		return ""
	}
	return name
}

// noteDisabled notes which ports flows switch off.
func (s *southbound) noteDisabled(uuid string, old, now *ovnsb.LogicalFlow) {
	if port := disabledBy(old); port != "" {
		remove(s.disabled, port, uuid)
		s.touch(port)
	}
	if port := disabledBy(now); port != "" {
		insert(s.disabled, port, uuid)
		s.touch(port)
	}
}
