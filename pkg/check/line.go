package check

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/flowshunt/flowshunt/pkg/control"
	"github.com/flowshunt/flowshunt/pkg/unixctl"
)

// Status is the outcome of one look. The zero value is no outcome.
type Status uint8

// The outcomes.
const (
	OK      Status = iota + 1
	Warning        // works, but not as well or not as surely as it could
	Fatal          // Flowshunt cannot work, or must not, as it is
	Unknown        // could not be looked at
)

var statusNames = [...]string{"-", "ok", "warning", "fatal", "unknown"}

// String returns a lower-case word.
func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return fmt.Sprintf("status %d", uint8(s))
}

// Line is what one look found.
type Line struct {
	Group  string // subject, as "conntrack"
	Name   string // unique within the group, stable, as "accounting"
	Status Status
	Found  string   // in a few words
	Why    string   // what goes wrong because of it; may be empty where all is well
	Fix    []string // shell commands, or what to do in words; empty where nothing is to be done
	Detail []string // names and figures that Found sums up; may be long
	Root   bool     // with Unknown: root might have been told
}

func ok(name, format string, args ...any) Line {
	return Line{Name: name, Status: OK, Found: fmt.Sprintf(format, args...)}
}

func warning(name, format string, args ...any) Line {
	return Line{Name: name, Status: Warning, Found: fmt.Sprintf(format, args...)}
}

func fatal(name, format string, args ...any) Line {
	return Line{Name: name, Status: Fatal, Found: fmt.Sprintf(format, args...)}
}

// unknown is a line about something that err kept from being looked at.
func unknown(name string, err error) Line {
	l := Line{Name: name, Status: Unknown, Found: oneLine(err.Error()), Root: denied(err)}
	if l.Root {
		l.Fix = []string{"run flowshuntctl check as root"}
	}
	return l
}

// denied reports whether a lack of privilege is the reason.
func denied(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, unixctl.ErrPermission) || errors.Is(err, control.ErrPermission)
}

func (l Line) why(format string, args ...any) Line {
	l.Why = fmt.Sprintf(format, args...)
	return l
}

func (l Line) fix(commands ...string) Line {
	l.Fix = commands
	return l
}

func (l Line) detail(lines []string) Line {
	l.Detail = lines
	return l
}

// oneLine folds text of several lines.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// some names the first few of a list: "a, b, c and 4 more".
func some(names []string) string {
	const most = 3
	if len(names) <= most+1 {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
