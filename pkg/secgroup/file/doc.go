// Package file reads security groups from a file, for nodes whose network service keeps no
// database that says what it permits (Neutron's ML2/OVS). The file is YAML or JSON and holds
// the bodies of Neutron's REST API as they are:
//
//	ports:           # GET /v2.0/ports
//	security_groups: # GET /v2.0/security-groups, each with its security_group_rules
//	address_groups:  # GET /v2.0/address-groups
//
// The first two must be there, if only as empty lists. All ports of the cloud that are in a
// remote group must be, wherever they are bound. Fields that this package does not read may
// be there or not.
//
// What the file means is what Neutron means: what no rule permits is denied. Names that
// lead nowhere make what depends on them Unknown. Anything else that is wrong makes the whole
// file wrong: the operator's wish is not known then, and the last good state stands until the
// receiver of News.Err gives up on it.
package file
