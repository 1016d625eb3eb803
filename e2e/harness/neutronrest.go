package harness

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// NeutronRule is a rule of a security group, by the names of Neutron's API. What is
// zero is left out.
type NeutronRule struct {
	ID           string `json:"id,omitempty"` // not to be asked for
	Group        string `json:"security_group_id"`
	Direction    string `json:"direction"`
	EtherType    string `json:"ethertype,omitempty"` // IPv4 or IPv6; empty: IPv4
	Protocol     string `json:"protocol,omitempty"`
	PortMin      int    `json:"port_range_min,omitempty"`
	PortMax      int    `json:"port_range_max,omitempty"`
	RemotePrefix string `json:"remote_ip_prefix,omitempty"`
	RemoteGroup  string `json:"remote_group_id,omitempty"`
}

// NeutronPort is a port, by the names of Neutron's API. The server fills in what is
// zero of id, addresses and groups.
type NeutronPort struct {
	ID       string            `json:"id,omitempty"`
	Network  string            `json:"network_id,omitempty"`
	Host     string            `json:"binding:host_id,omitempty"`
	Groups   []string          `json:"security_groups,omitempty"`
	MAC      string            `json:"mac_address,omitempty"`
	FixedIPs []NeutronFixedIP  `json:"fixed_ips,omitempty"`
	Pairs    []NeutronAddrPair `json:"allowed_address_pairs,omitempty"`
	Owner    string            `json:"device_owner,omitempty"`     // "compute:nova" for an instance
	VIFType  string            `json:"binding:vif_type,omitempty"` // "ovs" where it could be bound; not to be asked for
	Status   string            `json:"status,omitempty"`           // "ACTIVE" when it may talk; not to be asked for
}

// NeutronFixedIP is an address of a port.
type NeutronFixedIP struct {
	Subnet string `json:"subnet_id,omitempty"`
	IP     string `json:"ip_address,omitempty"`
}

// NeutronAddrPair is what a port may use beside its addresses.
type NeutronAddrPair struct {
	IP string `json:"ip_address"`
}

// Network creates a network and returns its id.
func (s *NeutronServer) Network(name string) string {
	s.t.Helper()
	return s.create("networks", map[string]any{"name": name})
}

// Subnet creates a subnet without DHCP and without a gateway, and returns its id.
func (s *NeutronServer) Subnet(network, cidr string) string {
	s.t.Helper()
	version := 4
	if strings.Contains(cidr, ":") {
		version = 6
	}
	return s.create("subnets", map[string]any{
		"network_id": network, "cidr": cidr, "ip_version": version, "enable_dhcp": false, "gateway_ip": nil,
	})
}

// SecurityGroup creates a security group and returns its id. It permits all egress, as
// each new one does.
func (s *NeutronServer) SecurityGroup(name string) string {
	s.t.Helper()
	return s.create("security-groups", map[string]any{"name": name})
}

// Rule adds a rule and returns its id.
func (s *NeutronServer) Rule(r NeutronRule) string {
	s.t.Helper()
	return s.create("security-group-rules", r)
}

// Rules are those of a security group.
func (s *NeutronServer) Rules(group string) (list []NeutronRule) {
	s.t.Helper()
	s.must(http.MethodGet, "security-group-rules?security_group_id="+group, nil, &list)
	return list
}

// DeleteRule removes a rule: when it returns, the server has answered.
func (s *NeutronServer) DeleteRule(id string) { s.t.Helper(); s.Delete("security-group-rules", id) }

// Port creates a port and returns what it has become.
func (s *NeutronServer) Port(p NeutronPort) NeutronPort {
	s.t.Helper()
	var created NeutronPort
	s.must(http.MethodPost, "ports", wrapped("ports", p), &created)
	return created
}

// UpdatePort changes fields of a port, by the names of Neutron's API, and returns what
// it has become.
func (s *NeutronServer) UpdatePort(id string, fields map[string]any) NeutronPort {
	s.t.Helper()
	var updated NeutronPort
	s.must(http.MethodPut, "ports/"+id, wrapped("ports", fields), &updated)
	return updated
}

// Delete removes a thing from a collection, "ports" or the like.
func (s *NeutronServer) Delete(collection, id string) {
	s.t.Helper()
	s.must(http.MethodDelete, collection+"/"+id, nil, nil)
}

// Bodies returns GET's answer for a collection as it is, for instance for a file of
// security groups.
func (s *NeutronServer) Bodies(collection string) json.RawMessage {
	s.t.Helper()
	var list json.RawMessage
	s.must(http.MethodGet, collection, nil, &list)
	return list
}

func (s *NeutronServer) create(collection string, fields any) (id string) {
	s.t.Helper()
	var created struct{ ID string }
	s.must(http.MethodPost, collection, wrapped(collection, fields), &created)
	return created.ID
}

// wrapped is a body: an object with the singular of the collection's name.
func wrapped(collection string, fields any) any {
	return map[string]any{strings.ReplaceAll(strings.TrimSuffix(collection, "s"), "-", "_"): fields}
}

func (s *NeutronServer) must(method, path string, body, result any) {
	s.t.Helper()
	if err := s.call(method, path, body, result); err != nil {
		s.t.Fatal(err)
	}
}

// call asks the server; result gets what the only field of the answer's object is.
func (s *NeutronServer) call(method, path string, body, result any) error {
	var b bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&b).Encode(body); err != nil {
			return err
		}
	}
	request, err := http.NewRequest(method, s.url+path, &b)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := s.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxOutput))
	if err != nil {
		return err
	}
	if response.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %s", method, path, response.Status, answer)
	}
	if result == nil {
		return nil
	}
	return unwrap(answer, result)
}

func unwrap(answer []byte, result any) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(answer, &fields); err != nil {
		return fmt.Errorf("%w in %s", err, answer)
	}
	if len(fields) != 1 {
		return fmt.Errorf("one field is expected in %s", answer)
	}
	for _, field := range fields {
		if err := json.Unmarshal(field, result); err != nil {
			return fmt.Errorf("%w in %s", err, answer)
		}
	}
	return nil
}
