package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"
)

// maxDepth bounds how deep values may be nested; Neutron's bodies nest six deep.
const maxDepth = 64

// A jsonReader makes nodes of JSON, one at a time, so that a large file does not become a
// larger tree. JSON does not go through the YAML parser, because YAML has no surrogate pairs
// in \u escapes, as Python writes them.
type jsonReader struct {
	dec  *json.Decoder
	data []byte
	seen int // up to where lines were counted
	line int
}

func newJSONReader(data []byte) *jsonReader {
	r := &jsonReader{dec: json.NewDecoder(bytes.NewReader(data)), data: data, line: 1}
	r.dec.UseNumber()
	return r
}

// elements calls f with each element of the lists that the fields of the document's object
// are.
func (r *jsonReader) elements(f visit) error {
	token, err := r.token()
	if err != nil {
		return err
	}
	if token != json.Delim('{') {
		return r.wrong(errors.New("an object is expected"))
	}
	seen := map[string]bool{}
	for r.dec.More() {
		name, err := r.token()
		if err != nil {
			return err
		}
		field := name.(string) // the decoder takes no other
		if seen[field] {
			return r.wrong(fmt.Errorf("the field %q is there twice", bounded(field)))
		}
		seen[field] = true
		if err := r.list(field, f); err != nil {
			return in(field, err)
		}
	}
	if _, err := r.token(); err != nil {
		return err
	}
	if _, err := r.dec.Token(); !errors.Is(err, io.EOF) {
		return r.wrong(errors.New("something stands behind the end of the object"))
	}
	return nil
}

func (r *jsonReader) list(field string, f visit) error {
	token, err := r.token()
	if err != nil {
		return err
	}
	if token != json.Delim('[') {
		n, err := r.node(token, 1)
		if err != nil {
			return err
		}
		return f(field, -1, n)
	}
	if err := f(field, -1, &node{Kind: yaml.SequenceNode, Line: r.line}); err != nil {
		return err
	}
	for i := 0; r.dec.More(); i++ {
		token, err := r.token()
		if err != nil {
			return at(i, err)
		}
		n, err := r.node(token, 2)
		if err == nil {
			err = f(field, i, n)
		}
		if err != nil {
			return at(i, err)
		}
	}
	_, err = r.token()
	return err
}

// node makes a node of a value whose first token was read.
func (r *jsonReader) node(first json.Token, depth int) (*node, error) {
	n := &node{Kind: yaml.ScalarNode, Line: r.line}
	switch v := first.(type) {
	case nil:
		n.Tag = "!!null"
	case bool:
		n.Tag, n.Value = "!!bool", fmt.Sprint(v)
	case json.Number:
		n.Tag, n.Value = "!!float", v.String()
	case string:
		n.Tag, n.Value = "!!str", v
	case json.Delim:
		n.Kind = yaml.SequenceNode
		if v == '{' {
			n.Kind = yaml.MappingNode
		}
		return n, r.children(n, depth)
	}
	return n, nil
}

// children reads what is in a list or an object, of which names are children too.
func (r *jsonReader) children(n *node, depth int) error {
	if depth > maxDepth {
		return r.wrong(fmt.Errorf("values are nested more than %d deep", maxDepth))
	}
	for r.dec.More() {
		token, err := r.token()
		if err != nil {
			return err
		}
		child, err := r.node(token, depth+1)
		if err != nil {
			return err
		}
		n.Content = append(n.Content, child)
	}
	_, err := r.token()
	return err
}

func (r *jsonReader) token() (json.Token, error) {
	token, err := r.dec.Token()
	offset := int(r.dec.InputOffset())
	r.line += bytes.Count(r.data[r.seen:offset], []byte{'\n'})
	r.seen = offset
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, r.wrong(err)
	}
	return token, nil
}

func (r *jsonReader) wrong(err error) error { return &Error{Line: r.line, Err: err} }
