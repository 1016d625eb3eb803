package serve

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
)

// version is that of a schema: three numbers (RFC 7047, section 3.1).
type version [3]int

var versionSyntax = regexp.MustCompile(`^([0-9]{1,9})\.([0-9]{1,9})\.([0-9]{1,9})$`)

func parseVersion(text string) (v version, err error) {
	parts := versionSyntax.FindStringSubmatch(text)
	if parts == nil {
		return v, fmt.Errorf("%.64q is no version of a schema", text)
	}
	for i := range v {
		v[i], _ = strconv.Atoi(parts[i+1]) // digits only
	}
	return v, nil
}

func (v version) compare(other version) int {
	return cmp.Or(cmp.Compare(v[0], other[0]), cmp.Compare(v[1], other[1]), cmp.Compare(v[2], other[2]))
}

func (v version) String() string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }

// nameAndVersion are those of a schema.
func nameAndVersion(schema []byte) (string, version, error) {
	var s struct{ Name, Version string }
	if err := json.Unmarshal(schema, &s); err != nil {
		return "", version{}, fmt.Errorf("schema: %w", err)
	}
	v, err := parseVersion(s.Version)
	return s.Name, v, err
}
