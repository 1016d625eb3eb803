// Package controlpb is the generated wire form of the control API. Only
// pkg/control imports it; everything else speaks pkg/control's types.
package controlpb

//go:generate ./generate.sh
