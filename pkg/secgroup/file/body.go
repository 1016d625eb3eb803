package file

import (
	"bytes"
	"fmt"
)

// MaxJSON and MaxYAML are the sizes in bytes up to which a file is read. A YAML document
// becomes a tree of about ten times its size while it is read, JSON does not.
const (
	MaxJSON = 64 << 20
	MaxYAML = 16 << 20
)

// body is what a file says, before names are looked up in it.
type body struct {
	ports  map[string]port
	groups map[string]group
	pools  map[string]addressGroup
	rules  map[string]bool // ids
}

// visit is called for each field of a document with the index -1, then for each element of
// its list.
type visit func(field string, i int, n *node) error

// parse reads a document: JSON where it begins with a brace, else YAML.
func parse(data []byte) (*body, error) {
	b := &body{ports: map[string]port{}, groups: map[string]group{}, pools: map[string]addressGroup{}, rules: map[string]bool{}}
	lists := map[string]func(*node) error{
		"ports": b.addPort, "security_groups": b.addGroup, "address_groups": b.addPool,
		"ports_links": noNextPage, "security_groups_links": noNextPage, "address_groups_links": noNextPage,
	}
	seen := map[string]bool{}
	read := func(field string, i int, n *node) error {
		add := lists[field]
		switch {
		case add == nil || isNull(n) && i < 0:
			return nil
		case i >= 0:
			return add(n)
		}
		seen[field] = true
		return object{fields: map[string]*node{"": n}}.each("", func(*node) error { return nil })
	}
	if err := elements(data, read); err != nil {
		return nil, err
	}
	for _, field := range []string{"ports", "security_groups"} {
		if !seen[field] {
			return nil, &Error{Field: field, Err: fmt.Errorf("it is missing (a file without any has an empty list)")}
		}
	}
	return b, nil
}

func elements(data []byte, f visit) error {
	most, json := MaxYAML, false
	if bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte{'{'}) {
		most, json = MaxJSON, true
	}
	if len(data) > most {
		return &Error{Err: fmt.Errorf("it has more than %d MiB", most>>20)}
	}
	if json {
		return newJSONReader(data).elements(f)
	}
	return yamlElements(data, f)
}

func (b *body) addPort(n *node) error {
	p, err := readPort(n)
	if err == nil {
		err = once(n, b.ports, p.id)
	}
	b.ports[p.id] = p
	return err
}

func (b *body) addGroup(n *node) error {
	g, err := readGroup(n, b.rules)
	if err == nil {
		err = once(n, b.groups, g.id)
	}
	b.groups[g.id] = g
	return err
}

func (b *body) addPool(n *node) error {
	a, err := readAddressGroup(n)
	if err == nil {
		err = once(n, b.pools, a.id)
	}
	b.pools[a.id] = a
	return err
}

// noNextPage complains of a link to more of a list.
func noNextPage(n *node) error {
	o, err := asObject(n)
	if err != nil {
		return err
	}
	rel, err := o.text("rel")
	if err == nil && rel == "next" {
		err = wrong(n, "the list is only one page of several")
	}
	return err
}

// once complains of a second thing of the same id.
func once[V any](n *node, have map[string]V, id string) error {
	if _, twice := have[id]; twice {
		return in("id", wrong(n, "%q is there twice", bounded(id)))
	}
	return nil
}
