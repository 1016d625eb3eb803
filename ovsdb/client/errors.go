package client

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
)

// Reasons why a connection failed, for errors.Is. A socket or file that is missing or not
// permitted is fs.ErrNotExist or fs.ErrPermission.
var (
	ErrNoDatabase = errors.New("the server does not serve the database")
	ErrStalled    = errors.New("the server accepts data and answers nothing")
	ErrProtocol   = errors.New("the server sent what is not OVSDB")
	ErrSchema     = errors.New("the server's schema lacks what is needed")
	ErrDetached   = errors.New("the server is cut off from the source of its database")
	ErrStale      = errors.New("the server's database is behind what was read already")
)

// errUnknownMethod is how a server refuses a method that it does not have.
var errUnknownMethod = errors.New("the server refused: unknown method")

// Error is a failed connection to a database server.
type Error struct {
	Endpoint Endpoint
	Database string
	Op       string // what was attempted: "connect", "list_dbs", "monitor", ...
	Err      error
}

// Error says what failed where, and what an operator can do about it.
func (e *Error) Error() string {
	text := fmt.Sprintf("ovsdb %s: %s: %v", e.Endpoint, e.Op, e.Err)
	if advice := e.advice(); advice != "" {
		text += "; " + advice
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func (e *Error) advice() string {
	product, service := e.service()
	local := e.Endpoint.network == "unix" && e.Op == "connect"
	switch {
	case local && errors.Is(e.Err, fs.ErrNotExist):
		return "is " + product + " installed and running? check: systemctl status " + service
	case local && errors.Is(e.Err, fs.ErrPermission):
		return "the socket belongs to another user or group: run as root or join its group; check: ls -l " + e.Endpoint.address
	case errors.Is(e.Err, syscall.ECONNREFUSED):
		return "nobody listens there: ovsdb-server has stopped or died; check: systemctl status " + service
	case errors.Is(e.Err, ErrNoDatabase):
		return "is this the right ovsdb-server? check: ovsdb-client list-dbs " + e.Endpoint.String()
	case errors.Is(e.Err, ErrStalled):
		return "ovsdb-server may be stopped or overloaded; check: ovsdb-client list-dbs " + e.Endpoint.String()
	case errors.Is(e.Err, ErrDetached):
		return "check: ovs-appctl -t CONTROL-SOCKET cluster/status " + e.Database
	case errors.Is(e.Err, ErrStale):
		return "if the whole cluster was put back to an older state: restart this program, which has seen the newer one"
	}
	return ""
}

// service names what runs the server, as Debian does.
func (e *Error) service() (product, unit string) {
	if strings.HasPrefix(e.Database, "OVN_") {
		return "OVN", "ovn-central"
	}
	return "Open vSwitch", "openvswitch-switch"
}
