package file

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// Config says which file a Source reads.
type Config struct {
	Path string
	// Host is what the network service calls this node (binding:host_id): ports that are
	// bound elsewhere are PortUnbound. Empty: where a port is bound is not looked at.
	Host string
	// Poll is how often the file is looked at without a cause, because not every file system
	// tells changes. 0: every second.
	Poll time.Duration
}

// Source is a secgroup.Source that reads a file, again whenever it was replaced, or
// written to and closed. Replace it with rename(2): what reads a file that is written in
// place may see a part of it.
type Source struct {
	cfg    Config
	settle time.Duration
}

var _ secgroup.Source = (*Source)(nil)

// New returns a source of a file, which need not be there yet.
func New(cfg Config) *Source {
	if cfg.Poll <= 0 {
		cfg.Poll = time.Second
	}
	return &Source{cfg: cfg, settle: settled}
}

// Parse reads a document as a Source does. The error is an *Error.
func Parse(data []byte, host string) (*secgroup.Update, error) {
	s, err := newState(data, host)
	if err != nil {
		return nil, err
	}
	return s.all(), nil
}

// Run implements secgroup.Source. News.Err is an *Error for a file whose content is wrong,
// and an *fs.PathError for one that is not there.
func (s *Source) Run(ctx context.Context, tell func(secgroup.News)) error {
	r := &reader{Source: s, tell: tell}
	defer r.unwatch()
	for h := (happening{}); ctx.Err() == nil; {
		r.watch() // before the file is read, so that no change falls between
		r.look(h)
		h = r.wait(ctx)
	}
	return ctx.Err()
}

// reader is what a Run knows.
type reader struct {
	*Source
	tell func(secgroup.News)

	watcher   *watcher    // nil: the folder cannot be watched
	last      *state      // what was told; nil: nothing yet
	seen      os.FileInfo // the file that was read last, right or wrong; nil: there was none
	trouble   string      // the error that was told last; empty: none
	unsettled time.Time   // since when the file is being written; zero: it is not
}

// watch watches the file's folder. Where that cannot be, Poll alone finds changes.
func (r *reader) watch() {
	if r.watcher == nil {
		r.watcher, _ = newWatcher(filepath.Dir(r.cfg.Path))
	}
}

func (r *reader) unwatch() {
	if r.watcher != nil {
		_ = r.watcher.Close()
		r.watcher = nil
	}
}

// wait waits for something to happen, or for the time of the next look.
func (r *reader) wait(ctx context.Context) (h happening) {
	if r.watcher == nil {
		select {
		case <-ctx.Done():
		case <-time.After(r.cfg.Poll):
		}
		return h
	}
	h = r.watcher.wait(ctx, time.Now().Add(r.cfg.Poll), r.name())
	if h.lost {
		r.unwatch()
	}
	return h
}

func (r *reader) name() string { return filepath.Base(r.cfg.Path) }

// look reads the file if it may have changed, and tells what is new.
func (r *reader) look(h happening) {
	if !h.done {
		if info, err := os.Stat(r.cfg.Path); err == nil && same(info, r.seen) {
			return
		}
	}
	data, info, err := r.read(h)
	if r.patient(err) {
		return
	}
	r.seen = info
	var state *state
	if err == nil {
		state, err = newState(data, r.cfg.Host)
	}
	if err != nil {
		r.fail(err)
		return
	}
	r.update(state)
}

// read reads the file. What its writer closed is whole, unless somebody began to write
// again until it was read.
func (r *reader) read(h happening) ([]byte, os.FileInfo, error) {
	for {
		data, info, err := read(r.cfg.Path, h.done, time.Now(), r.settle)
		if r.watcher == nil || err != nil {
			return data, info, err
		}
		switch h = r.watcher.now(r.name()); {
		case h.lost:
			r.unwatch()
			return data, info, err
		case h.writing:
			return nil, nil, errUnsettled
		case !h.done:
			return data, info, err
		}
	}
}

// patience is for how long a file may be in the middle of being written before its content
// counts as unknown.
const patience = 10 * time.Second

// patient says whether to wait for the end of a write.
func (r *reader) patient(err error) bool {
	switch {
	case !errors.Is(err, errUnsettled):
		r.unsettled = time.Time{}
		return false
	case r.unsettled.IsZero():
		r.unsettled = time.Now()
	}
	return time.Since(r.unsettled) < patience
}

func (r *reader) fail(err error) {
	if r.trouble == err.Error() {
		return
	}
	r.trouble = err.Error()
	r.tell(secgroup.News{Err: err})
}

func (r *reader) update(now *state) {
	var u *secgroup.Update
	if r.last == nil {
		u = now.all()
	} else {
		u = now.since(r.last)
	}
	if u != nil || r.trouble != "" {
		r.tell(secgroup.News{Update: u})
	}
	r.last, r.trouble = now, ""
}
