package file

import (
	"errors"
	"fmt"
	"strconv"
)

// Error says what is wrong with a file, and where.
type Error struct {
	Line  int    // from 1; 0: none
	Field string // as "security_groups[3].security_group_rules[1].protocol"; empty: none
	Err   error
}

func (e *Error) Error() string {
	where := ""
	if e.Line > 0 {
		where = "line " + strconv.Itoa(e.Line) + ": "
	}
	if e.Field != "" {
		where += e.Field + ": "
	}
	return where + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// wrong is an error at a node.
func wrong(n *node, format string, args ...any) error {
	return &Error{Line: n.Line, Err: fmt.Errorf(format, args...)}
}

// in says in which field of the thing around it an error is.
func in(field string, err error) error {
	var e *Error
	if err == nil || !errors.As(err, &e) {
		return err
	}
	if e.Field != "" && e.Field[0] != '[' {
		field += "."
	}
	return &Error{Line: e.Line, Field: field + e.Field, Err: e.Err}
}

// at says in which element of a list an error is.
func at(i int, err error) error { return in("["+strconv.Itoa(i)+"]", err) }
