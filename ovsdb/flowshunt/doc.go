// Package flowshunt holds one Go type per table of the policy database, as libovsdb's
// modelgen writes them from flowshunt.ovsschema in the folder above. It must not be edited
// by hand.
package flowshunt

//go:generate go run ../../hack/ovsdbmodel flowshunt ../flowshunt.ovsschema Flowshunt Offload_Policy Decryption_Profile Wire Node Eswitch
