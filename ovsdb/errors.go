package ovsdb

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// Reasons why a connection failed, for errors.Is. A socket that is missing or
// not permitted is fs.ErrNotExist or fs.ErrPermission.
var (
	ErrNoDatabase = errors.New("the server does not serve the database " + database)
	ErrStalled    = errors.New("the server accepts data and answers nothing")
	ErrProtocol   = errors.New("the server sent what is not OVSDB")
)

// Error is a failed connection to a database server.
type Error struct {
	Endpoint Endpoint
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
	switch {
	case errors.Is(e.Err, fs.ErrNotExist):
		return "is Open vSwitch installed and running? check: systemctl status openvswitch-switch"
	case errors.Is(e.Err, fs.ErrPermission):
		return "the socket belongs to another user or group: run as root or join its group; check: ls -l " + e.Endpoint.address
	case errors.Is(e.Err, syscall.ECONNREFUSED):
		return "nobody listens there: ovsdb-server has stopped or died; check: systemctl status openvswitch-switch"
	case errors.Is(e.Err, ErrNoDatabase):
		return "is this the ovsdb-server of Open vSwitch? check: ovsdb-client list-dbs " + e.Endpoint.String()
	case errors.Is(e.Err, ErrStalled):
		return "ovsdb-server may be stopped or overloaded; check: ovsdb-client list-dbs " + e.Endpoint.String()
	}
	return ""
}

func (e Endpoint) failed(op string, err error) error {
	return &Error{Endpoint: e, Op: op, Err: err}
}
