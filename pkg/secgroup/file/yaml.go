package file

import (
	"bytes"
	"errors"
	"io"

	"go.yaml.in/yaml/v3"
)

// yamlElements calls f with each element of the lists that the fields of the document's
// mapping are.
func yamlElements(data []byte, f visit) error {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return &Error{Err: errors.New("it is empty")}
	case err != nil:
		return &Error{Err: err} // says the line itself
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return &Error{Line: more.Line, Err: errors.New("there is more than one document")}
	}
	if err := shallow(&doc, maxDepth); err != nil {
		return err
	}
	o, err := asObject(doc.Content[0])
	if err != nil {
		return err
	}
	for i := 0; i+1 < len(o.node.Content); i += 2 {
		field, value := o.node.Content[i].Value, o.node.Content[i+1]
		if err := f(field, -1, value); err != nil {
			return in(field, err)
		}
		if value.Kind != yaml.SequenceNode {
			continue
		}
		for i, element := range value.Content {
			if err := f(field, i, element); err != nil {
				return in(field, at(i, err))
			}
		}
	}
	return nil
}

// shallow complains of what is nested too deep.
func shallow(n *node, depth int) error {
	if depth < 0 {
		return wrong(n, "values are nested more than %d deep", maxDepth)
	}
	for _, child := range n.Content {
		if err := shallow(child, depth-1); err != nil {
			return err
		}
	}
	return nil
}
