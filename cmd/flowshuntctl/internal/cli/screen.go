package cli

import (
	"bytes"
	"context"
	"io"
	"os"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// screen is where top shows its pages: a terminal, or what takes one page after the other.
type screen struct {
	out    io.Writer
	fd     int           // of the terminal; -1: it is none
	keys   int           // terminal that keys are read from; -1: none
	before *unix.Termios // of keys, as it was
	ended  chan struct{} // closed when keys are not read any more
	stop   context.CancelFunc
}

// Sequences of ECMA-48 and, for the second screen and the cursor, xterm's ctlseqs.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	toTop       = "\x1b[H"
	clearLine   = "\x1b[K"
	clearBelow  = "\x1b[J"
)

// openScreen takes over the terminal, if there is one. quit is called when somebody wants to
// leave.
func (a *app) openScreen(quit func()) *screen {
	s := &screen{out: a.Stdout, fd: terminal(a.Stdout), keys: terminal(a.Stdin)}
	if s.fd < 0 {
		s.keys = -1
		return s
	}
	io.WriteString(s.out, enterScreen)
	if s.keys >= 0 {
		s.listen(quit)
	}
	return s
}

// terminal returns the file descriptor of a terminal, or -1.
func terminal(f any) int {
	file, ok := f.(*os.File)
	if !ok {
		return -1
	}
	if _, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS); err != nil {
		return -1
	}
	return int(file.Fd())
}

// listen has keys come one by one and unseen, and waits for the one that ends.
func (s *screen) listen(quit func()) {
	mode, err := unix.IoctlGetTermios(s.keys, unix.TCGETS)
	if err != nil {
		return
	}
	before := *mode
	mode.Lflag &^= unix.ICANON | unix.ECHO
	mode.Cc[unix.VMIN], mode.Cc[unix.VTIME] = 1, 0
	if unix.IoctlSetTermios(s.keys, unix.TCSETS, mode) != nil {
		return
	}
	s.before, s.ended = &before, make(chan struct{})
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	go func() {
		defer close(s.ended)
		for ctx.Err() == nil {
			if key, ok := s.key(); ok && (key == 'q' || key == 'Q') {
				quit()
				return
			} else if !ok {
				return
			}
		}
	}()
}

// keyTime is how long the end waits for the reader of keys.
const keyTime = 50 * time.Millisecond

// key returns the next key, or 0 when there was none for a moment; false at the end of input.
func (s *screen) key() (byte, bool) {
	poll := []unix.PollFd{{Fd: int32(s.keys), Events: unix.POLLIN}}
	n, err := unix.Poll(poll, int(keyTime/time.Millisecond))
	switch {
	case err == unix.EINTR || err == nil && n == 0:
		return 0, true
	case err != nil:
		return 0, false
	}
	var b [1]byte
	if n, err := unix.Read(s.keys, b[:]); n != 1 || err != nil {
		return 0, false
	}
	return b[0], true
}

// close gives the terminal back as it was.
func (s *screen) close() {
	if s.stop != nil {
		s.stop()
		<-s.ended
		_ = unix.IoctlSetTermios(s.keys, unix.TCSETS, s.before) // there is nothing to be done about it
	}
	if s.fd >= 0 {
		io.WriteString(s.out, leaveScreen)
	}
}

// live reports whether it is a terminal.
func (s *screen) live() bool { return s.fd >= 0 }

// size returns the rows and columns of the terminal; columns 0: any.
func (s *screen) size() (rows, columns int) {
	if s.live() {
		if ws, err := unix.IoctlGetWinsize(s.fd, unix.TIOCGWINSZ); err == nil && ws.Row > 0 && ws.Col > 0 {
			return int(ws.Row), int(ws.Col)
		}
	}
	return plainRows + headerRows, 0
}

// show shows a page: instead of the one before, or below it.
func (s *screen) show(page []byte, again bool) error {
	if !s.live() {
		if again {
			page = append([]byte("\n"), page...)
		}
		_, err := s.out.Write(page)
		return err
	}
	_, err := s.out.Write(fit(page, s.size))
	return err
}

// fit cuts a page to the size of a terminal.
func fit(page []byte, size func() (int, int)) []byte {
	rows, columns := size()
	lines := bytes.Split(bytes.TrimSuffix(page, []byte("\n")), []byte("\n"))
	if len(lines) > rows-1 {
		lines = lines[:max(1, rows-1)]
	}
	out := bytes.NewBufferString(toTop)
	for _, line := range lines {
		for columns > 0 && utf8.RuneCount(line) > columns {
			_, n := utf8.DecodeLastRune(line)
			line = line[:len(line)-n]
		}
		out.Write(line)
		out.WriteString(clearLine + "\r\n")
	}
	out.WriteString(clearBelow)
	return out.Bytes()
}
