package ovn

import (
	"encoding/json"
	"testing"

	"github.com/flowshunt/flowshunt/ovsdb/ovnsb"
)

// TestLimitsFit: what has as many rows as are read fits into the message that tells them.
func TestLimitsFit(t *testing.T) {
	d, _ := load(t, sbTables, "southbound.jsonl")
	rows := d.rows[ovnsb.LogicalFlowTable]
	bytes := 0
	for uuid, row := range rows {
		f := row.(*ovnsb.LogicalFlow)
		ids := [][2]string{}
		for k, v := range f.ExternalIDs {
			ids = append(ids, [2]string{k, v})
		}
		text, err := json.Marshal(map[string]any{uuid: map[string]any{"initial": map[string]any{
			"actions": f.Actions, "match": f.Match, "priority": f.Priority, "external_ids": []any{"map", ids},
			"logical_datapath": []string{"uuid", *f.LogicalDatapath}, "logical_dp_group": []any{"set", []string{}},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		bytes += len(text)
	}
	each := bytes / len(rows)
	t.Logf("%d bytes each", each)
	if each*maxRows > maxMessage/2 {
		t.Errorf("%d flows of %d bytes leave too little of a message of %d", maxRows, each, maxMessage)
	}
}
