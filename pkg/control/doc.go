// Package control is the control API of an agent: gRPC over a unix socket whose
// file permissions say who may ask. It holds the server, which an agent feeds
// through the Backend interface, and the client that the CLI uses.
//
// The API only reads. It decides nothing, keeps nothing, and no request, however
// malformed, may stop the agent or hold its memory: sizes, lengths of time and
// numbers of streams are bounded on both sides.
package control
