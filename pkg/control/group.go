package control

import (
	"errors"
	"fmt"
	"os/user"
	"strconv"
)

// DefaultGroup is the group whose members may use the control socket, where it
// exists.
const DefaultGroup = "flowshunt"

// socketGroup returns the id of a group; -1 leaves the socket to the group of
// the process.
func socketGroup(name string) (int, error) {
	g, err := user.LookupGroup(orDefault(name))
	var unknown user.UnknownGroupError
	switch {
	case errors.As(err, &unknown) && name == "":
		return -1, nil
	case errors.As(err, &unknown):
		return 0, fmt.Errorf("group %q does not exist: create it (groupadd --system %s) or name another", name, name)
	case err != nil:
		return 0, fmt.Errorf("group %q: %w", orDefault(name), err)
	}
	return strconv.Atoi(g.Gid)
}

func orDefault(name string) string {
	if name == "" {
		return DefaultGroup
	}
	return name
}

// groupName returns the name of a group, or its number.
func groupName(gid uint32) string {
	n := strconv.Itoa(int(gid))
	if g, err := user.LookupGroupId(n); err == nil {
		return g.Name
	}
	return n
}
