package cli

import (
	"fmt"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/control"
)

// The JSON form of "why".
type (
	whyDoc struct {
		Tuple     string     `json:"tuple"`
		Offloaded bool       `json:"offloaded"`
		Reason    string     `json:"reason"`
		Detail    string     `json:"detail"`
		Checks    []checkDoc `json:"checks"`
		Entries   []entryDoc `json:"entries"`
	}
	entryDoc struct {
		ConntrackID uint32     `json:"conntrack_id"`
		Zone        uint16     `json:"zone"`
		Tuple       string     `json:"tuple"`
		Direction   string     `json:"direction"`
		Followed    bool       `json:"followed"`
		Session     string     `json:"session"`
		State       string     `json:"state"`
		Verdict     string     `json:"verdict"`
		Reason      string     `json:"reason"`
		Meaning     string     `json:"meaning"`
		Detail      string     `json:"detail"`
		Checks      []checkDoc `json:"checks"`
	}
	checkDoc struct {
		Name   string `json:"name"`
		Result string `json:"result"`
		Detail string `json:"detail"`
	}
)

func whyJSON(t flows.Tuple, e *control.Explanation) whyDoc {
	doc := whyDoc{
		Tuple:     t.String(),
		Offloaded: len(e.Entries) > 0 && countOffloaded(e) == len(e.Entries),
		Reason:    string(e.Reason), Detail: e.Detail,
		Checks: checkDocs(e.Checks), Entries: []entryDoc{},
	}
	for i := range e.Entries {
		doc.Entries = append(doc.Entries, entryJSON(&e.Entries[i]))
	}
	return doc
}

func entryJSON(e *control.Entry) entryDoc {
	doc := entryDoc{
		ConntrackID: e.Key.ID, Zone: uint16(e.Key.Zone), Tuple: e.Key.Tuple.String(), Direction: e.Dir.String(),
		Followed: e.Followed, Session: sessionID(e.Session), Verdict: verdict(e.Verdict),
		Reason: string(e.Reason), Meaning: meaning(e.Reason), Detail: e.Detail, Checks: checkDocs(e.Checks),
	}
	if e.Followed {
		doc.State = e.State.String()
	}
	return doc
}

func checkDocs(checks []control.Check) []checkDoc {
	out := make([]checkDoc, len(checks))
	for i, c := range checks {
		out[i] = checkDoc{c.Name, c.Result.String(), c.Detail}
	}
	return out
}

// whyCSV is one line for each check. The verdict of an entry is its last line.
func whyCSV(t flows.Tuple, e *control.Explanation) [][]string {
	rows := [][]string{{"tuple", "zone", "conntrack_id", "check", "result", "detail"}}
	add := func(tuple flows.Tuple, zone, id, check, result, detail string) {
		rows = append(rows, []string{tuple.String(), zone, id, clean(check), clean(result), clean(detail)})
	}
	for _, c := range e.Checks {
		add(t, "", "", c.Name, c.Result.String(), c.Detail)
	}
	if len(e.Entries) == 0 {
		add(t, "", "", "verdict", string(e.Reason), e.Detail)
	}
	for i := range e.Entries {
		entry := &e.Entries[i]
		zone, id := fmt.Sprint(entry.Key.Zone), fmt.Sprint(entry.Key.ID)
		for _, c := range entry.Checks {
			add(entry.Key.Tuple, zone, id, c.Name, c.Result.String(), c.Detail)
		}
		add(entry.Key.Tuple, zone, id, "verdict", verdict(entry.Verdict)+":"+string(entry.Reason), entry.Detail)
	}
	return rows
}
