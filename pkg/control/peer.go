package control

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/peer"
)

// Peer is who is at the other end of a connection, as the kernel tells (unix(7),
// SO_PEERCRED and SO_PEERGROUPS): as it was when the connection was made.
type Peer struct {
	Known  bool
	PID    int32 // in the agent's namespace; 0: it is in another
	UID    uint32
	GID    uint32
	Groups []uint32 // supplementary ones
}

// LogValue implements slog.LogValuer.
func (p Peer) LogValue() slog.Value {
	if !p.Known {
		return slog.StringValue("unknown")
	}
	return slog.GroupValue(slog.Uint64("uid", uint64(p.UID)), slog.Uint64("gid", uint64(p.GID)), slog.Int64("pid", int64(p.PID)))
}

// mayWrite reports whether a peer may change something: root, the agent's own user, and
// members of the group that owns the socket, also where others can connect to it.
func (p Peer) mayWrite(gid uint32) bool {
	if !p.Known {
		return false
	}
	return p.UID == 0 || p.UID == uint32(os.Geteuid()) && p.UID != overflowID || gid != overflowID && (p.GID == gid || slices.Contains(p.Groups, gid))
}

// overflowID is what the kernel says in a user namespace of each user and group that is not
// mapped there (user_namespaces(7); the default of kernel.overflowuid and overflowgid): it is
// nobody's own.
const overflowID = 65534

// peerListener gives each connection an address that tells its peer.
type peerListener struct{ net.Listener }

// Accept implements net.Listener.
func (l peerListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &peerConn{conn, peerAddr{conn.RemoteAddr(), peerOf(conn)}}, nil
}

type peerConn struct {
	net.Conn
	addr peerAddr
}

// RemoteAddr implements net.Conn.
func (c *peerConn) RemoteAddr() net.Addr { return c.addr }

type peerAddr struct {
	net.Addr
	peer Peer
}

func peerOf(conn net.Conn) (p Peer) {
	raw, ok := conn.(syscall.Conn)
	if !ok {
		return p
	}
	rc, err := raw.SyscallConn()
	if err != nil {
		return p
	}
	_ = rc.Control(func(fd uintptr) {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil {
			return
		}
		p = Peer{Known: true, PID: cred.Pid, UID: cred.Uid, GID: cred.Gid, Groups: peerGroups(int(fd))}
	})
	return p
}

// maxGroups is NGROUPS_MAX of include/uapi/linux/limits.h.
const maxGroups = 65536

// peerOfCall returns who makes a call.
func peerOfCall(ctx context.Context) Peer {
	from, ok := peer.FromContext(ctx)
	if !ok {
		return Peer{}
	}
	addr, ok := from.Addr.(peerAddr)
	if !ok {
		return Peer{}
	}
	return addr.peer
}

// owner returns the group that owns a socket.
func (l *listener) owner() (uint32, error) {
	var st unix.Stat_t
	if err := unix.Stat(l.path, &st); err != nil {
		return 0, fmt.Errorf("whose group the socket is of: %w", err)
	}
	return st.Gid, nil
}
