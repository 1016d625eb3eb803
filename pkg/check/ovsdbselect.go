package check

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// rows are columns that the inventory does not follow.
type rows struct {
	otherConfig map[string]string   // Open_vSwitch.other_config
	protocols   map[string][]string // Bridge.protocols by name of the bridge; empty: OVS's default
}

// selectRows asks for them once (RFC 7047, section 4.1.3).
func selectRows(ctx context.Context, endpoint string) (rows, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	network, address, _ := strings.Cut(endpoint, ":")
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return rows{}, err
	}
	defer conn.Close()
	if deadline, set := ctx.Deadline(); set {
		_ = conn.SetDeadline(deadline)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := io.WriteString(conn, selectRequest); err != nil {
		return rows{}, err
	}
	var reply struct {
		Error  any
		Result []struct {
			Error string
			Rows  []struct {
				Name        string
				OtherConfig json.RawMessage `json:"other_config"`
				Protocols   json.RawMessage
			}
		}
	}
	if err := json.NewDecoder(io.LimitReader(conn, maxFile)).Decode(&reply); err != nil {
		return rows{}, err
	}
	if reply.Error != nil || len(reply.Result) < 2 || reply.Result[0].Error != "" || reply.Result[1].Error != "" {
		return rows{}, errors.New("the database refused to select")
	}
	r := rows{otherConfig: map[string]string{}, protocols: map[string][]string{}}
	for _, row := range reply.Result[0].Rows {
		r.otherConfig = parseMap(row.OtherConfig)
	}
	for _, row := range reply.Result[1].Rows {
		r.protocols[row.Name] = parseSet(row.Protocols)
	}
	return r, nil
}

var selectRequest = fmt.Sprintf(`{"method":"transact","id":1,"params":["Open_vSwitch",%s,%s]}`,
	`{"op":"select","table":"Open_vSwitch","where":[],"columns":["other_config"]}`,
	`{"op":"select","table":"Bridge","where":[],"columns":["name","protocols"]}`)

// parseMap reads ["map",[["a","b"],...]].
func parseMap(raw json.RawMessage) map[string]string {
	var kind string
	var pairs [][2]string
	m := make(map[string]string)
	if json.Unmarshal(raw, &[]any{&kind, &pairs}) == nil {
		for _, p := range pairs {
			m[p[0]] = p[1]
		}
	}
	return m
}

// parseSet reads "a" or ["set",["a",...]].
func parseSet(raw json.RawMessage) []string {
	var one, kind string
	var set []string
	if json.Unmarshal(raw, &one) == nil {
		return []string{one}
	}
	_ = json.Unmarshal(raw, &[]any{&kind, &set})
	return set
}
