package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// DefaultSocket is where an agent listens unless told otherwise.
const DefaultSocket = "/run/flowshunt/control.sock"

// maxSocketPath is what fits in sockaddr_un (unix(7)) with its final zero.
const maxSocketPath = 107

// probeTime is how long a socket that is in the way may take to answer. Connects
// to a living listener succeed or fail at once, even if it never accepts.
const probeTime = time.Second

// Socket says where to listen and who may connect.
type Socket struct {
	Path string // empty: DefaultSocket

	// Group owns the socket, which has mode 0660. Empty: "flowshunt" where that
	// group exists, else the group of the process. A named one must exist.
	Group string
}

// Listen opens the control socket. The parent directory is created with mode 0755
// if it is missing. A socket that an earlier process left is replaced; if one
// answers there, or holds the lock beside it, the error is ErrInUse. Anything
// that is not a socket is left alone. Closing the listener removes the socket.
//
// The new socket is prepared in a directory that nobody else can enter and then
// renamed, so that at no moment it stands there with other permissions.
func Listen(ctx context.Context, s Socket) (net.Listener, error) {
	if s.Path == "" {
		s.Path = DefaultSocket
	}
	fail := func(err error) error { return &Error{Op: "listen", Path: s.Path, Err: err} }
	if len(s.Path) > maxSocketPath {
		return nil, fail(fmt.Errorf("path has %d bytes, at most %d are possible", len(s.Path), maxSocketPath))
	}
	gid, err := socketGroup(s.Group)
	if err != nil {
		return nil, fail(err)
	}
	if err := os.MkdirAll(filepath.Dir(s.Path), 0o755); err != nil {
		return nil, fail(err)
	}
	lock, err := lockFile(s.Path + ".lock")
	if err != nil {
		return nil, inUseOr(err, s.Path)
	}
	if err := checkFree(ctx, s.Path); err != nil {
		lock.Close()
		return nil, inUseOr(err, s.Path)
	}
	ln, err := bind(s.Path, gid)
	if err != nil {
		lock.Close()
		return nil, fail(err)
	}
	return &listener{Listener: ln, path: s.Path, lock: lock}, nil
}

func inUseOr(err error, path string) error {
	e := &Error{Op: "listen", Path: path, Err: err}
	if errors.Is(err, ErrInUse) {
		e.Kind, e.Err = ErrInUse, nil
		e.Hint = "stop it first, or give this agent its own socket"
	}
	return e
}

// lockFile serializes two agents that start at the same moment and both find a
// stale socket. The kernel drops the lock with the process, however that ends.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, ErrInUse
		}
		return nil, &fs.PathError{Op: "flock", Path: path, Err: err}
	}
	return f, nil
}

// checkFree returns nil if there is nothing at path, or a socket that nobody
// listens on.
func checkFree(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("in the way is a %s, which is not a socket and is left alone", kind(info.Mode()))
	}
	conn, err := (&net.Dialer{Timeout: probeTime}).DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		conn.Close()
		return ErrInUse
	case errors.Is(err, unix.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, unix.EAGAIN): // a listener with a full backlog
		return ErrInUse
	default:
		return err
	}
}

func kind(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "directory"
	case mode&fs.ModeSymlink != 0:
		return "symbolic link"
	default:
		return "file"
	}
}

func bind(path string, gid int) (*net.UnixListener, error) {
	dir, err := os.MkdirTemp(filepath.Dir(path), ".c")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, err
	}
	tmp := filepath.Join(dir, "s")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: tmp, Net: "unix"})
	if err != nil {
		return nil, err
	}
	ln.SetUnlinkOnClose(false)
	if err := publish(tmp, path, gid); err != nil {
		ln.Close()
		return nil, err
	}
	return ln, nil
}

func publish(tmp, path string, gid int) error {
	if err := os.Chmod(tmp, 0o660); err != nil {
		return err
	}
	if err := os.Chown(tmp, -1, gid); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
