package ovsdb

import _ "embed"

// PolicySchema is the schema of the policy database, flowshunt.ovsschema, as it belongs to this version.
//
//go:embed flowshunt.ovsschema
var PolicySchema []byte
