package file

import (
	"strconv"

	"go.yaml.in/yaml/v3"
)

// node is a value of a YAML or JSON document.
type node = yaml.Node

// object is the fields of a mapping. One that is null counts as absent.
type object struct {
	node   *node
	fields map[string]*node
}

func asObject(n *node) (object, error) {
	if n.Kind != yaml.MappingNode {
		return object{}, wrong(n, "an object is expected, not %s", describe(n))
	}
	o := object{node: n, fields: make(map[string]*node, len(n.Content)/2)}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			return object{}, wrong(key, "the name of a field is expected, not %s", describe(key))
		}
		if _, twice := o.fields[key.Value]; twice {
			return object{}, wrong(key, "the field %q is there twice", bounded(key.Value))
		}
		o.fields[key.Value] = value
	}
	return o, nil
}

// get returns a field, or nil where it is absent.
func (o object) get(field string) *node {
	if n := o.fields[field]; n != nil && !isNull(n) {
		return n
	}
	return nil
}

// text returns a field of text; a number counts as its digits. Absent: empty.
func (o object) text(field string) (string, error) {
	n := o.get(field)
	if n == nil {
		return "", nil
	}
	s, err := asText(n)
	return s, in(field, err)
}

// value returns a field of text that is not empty where it is there. Absent: empty.
func (o object) value(field string) (string, error) {
	s, err := o.text(field)
	if n := o.get(field); err == nil && n != nil && s == "" {
		return "", in(field, wrong(n, "it is empty; what does not apply is null"))
	}
	return s, err
}

// id returns a field of text that must be there.
func (o object) id(field string) (string, error) {
	s, err := o.value(field)
	if err == nil && s == "" {
		return "", in(field, wrong(o.node, "it is missing"))
	}
	return s, err
}

// flag returns true or false, or what it is where it is absent.
func (o object) flag(field string, absent bool) (bool, error) {
	n := o.get(field)
	if n == nil {
		return absent, nil
	}
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" {
		return false, in(field, wrong(n, "true or false is expected, not %s", describe(n)))
	}
	b, err := strconv.ParseBool(n.Value)
	if err != nil {
		return false, in(field, wrong(n, "true or false is expected, not %s", describe(n)))
	}
	return b, nil
}

// each calls f with the elements of a list, in their order. Absent: none.
func (o object) each(field string, f func(*node) error) error {
	n := o.get(field)
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		return in(field, wrong(n, "a list is expected, not %s", describe(n)))
	}
	for i, element := range n.Content {
		if err := f(element); err != nil {
			return in(field, at(i, err))
		}
	}
	return nil
}

func asText(n *node) (string, error) {
	if n.Kind != yaml.ScalarNode || isNull(n) {
		return "", wrong(n, "text is expected, not %s", describe(n))
	}
	return n.Value, nil
}

func isNull(n *node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

func describe(n *node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "an object"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		if isNull(n) {
			return "null"
		}
		return strconv.Quote(bounded(n.Value))
	case yaml.AliasNode:
		return "an alias, which this file may not use"
	default:
		return "nothing"
	}
}

// bounded keeps messages short whatever a file has.
func bounded(s string) string {
	const most = 80
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}
