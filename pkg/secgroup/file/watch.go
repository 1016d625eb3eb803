package file

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// watched is what may mean that the file has another content. It is the folder that is
// watched: a file that is replaced by rename(2) takes its watch along. IN_CLOSE_WRITE says
// that a writer is done.
const watched = unix.IN_MODIFY | unix.IN_CLOSE_WRITE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_CREATE |
	unix.IN_DELETE | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR

// watcher watches one folder (inotify(7)).
type watcher struct {
	f   *os.File
	buf []byte
}

func newWatcher(dir string) (*watcher, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("inotify: %w", err)
	}
	if _, err := unix.InotifyAddWatch(fd, dir, watched); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("watch %s: %w", dir, err)
	}
	return &watcher{f: os.NewFile(uintptr(fd), "inotify"), buf: make([]byte, 64<<10)}, nil
}

// happening is what was seen in the folder.
type happening struct {
	writing bool // somebody writes to something of the name, and may not be done
	done    bool // it was closed after writing, or moved there, and nobody wrote to it since
	lost    bool // the watch is on the folder no more
}

// wait waits until something happens in the folder, or ctx ends, or the time has come;
// what has another name ends it too: it may be a link on the way to the file.
func (w *watcher) wait(ctx context.Context, until time.Time, name string) happening {
	_ = w.f.SetReadDeadline(until)
	stop := context.AfterFunc(ctx, func() { _ = w.f.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	n, err := w.f.Read(w.buf)
	if err != nil {
		return happening{lost: !errors.Is(err, os.ErrDeadlineExceeded)}
	}
	return parseEvents(w.buf[:n], name)
}

// now says what has happened by now; it does not wait.
func (w *watcher) now(name string) happening {
	conn, err := w.f.SyscallConn()
	if err != nil {
		return happening{lost: true}
	}
	var h happening
	err = conn.Control(func(fd uintptr) {
		if n, err := unix.Read(int(fd), w.buf); err == nil {
			h = parseEvents(w.buf[:n], name)
		}
	})
	h.lost = h.lost || err != nil
	return h
}

// parseEvents reads struct inotify_event: wd, mask, cookie, len, then a padded name.
func parseEvents(b []byte, name string) happening {
	var h happening
	for len(b) >= unix.SizeofInotifyEvent {
		mask := binary.NativeEndian.Uint32(b[4:])
		length := binary.NativeEndian.Uint32(b[12:])
		b = b[unix.SizeofInotifyEvent:]
		if uint64(length) > uint64(len(b)) {
			break
		}
		of, _, _ := bytes.Cut(b[:length], []byte{0})
		b = b[length:]
		switch {
		case mask&(unix.IN_IGNORED|unix.IN_DELETE_SELF|unix.IN_MOVE_SELF|unix.IN_UNMOUNT) != 0:
			h.lost = true
		case string(of) != name:
		case mask&unix.IN_MODIFY != 0:
			h.writing, h.done = true, false
		case mask&(unix.IN_CLOSE_WRITE|unix.IN_MOVED_TO) != 0:
			h.writing, h.done = false, true
		}
	}
	return h
}

func (w *watcher) Close() error { return w.f.Close() }
