package file

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// settled is how old a change of the file must be before it is read, where nothing said
// that who wrote it is done: half of a YAML file may be valid YAML.
const settled = time.Second

// errUnsettled says that the file may be in the middle of being written.
var errUnsettled = errors.New("the file is being written")

// read returns the file's content. Unless closed, which says that its writer is done,
// it is errUnsettled for a file that was written to less than settle ago.
func read(path string, closed bool, now time.Time, settle time.Duration) ([]byte, os.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a FIFO does not block
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !before.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%s is not a regular file", path)
	}
	// an empty file may be one that another writer has just truncated, which the kernel
	// tells only after it
	whole := closed && before.Size() > 0
	if age := now.Sub(before.ModTime()); !whole && age >= 0 && age < settle {
		return nil, nil, errUnsettled
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxJSON+1))
	if err != nil {
		return nil, nil, err
	}
	after, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !same(before, after) {
		return nil, nil, errUnsettled
	}
	return data, after, nil
}

// same says whether two looks saw one file with one content.
func same(a, b os.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
