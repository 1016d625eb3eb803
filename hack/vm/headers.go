package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// headerParts are the dependencies of a headers package that hold files of the
// kernel's build; the compiler is a matter of hack/setup.
var headerParts = regexp.MustCompile(`^linux-(headers|kbuild)-`)

// findHeaders returns the folder to build modules in, for the very release that
// the machine boots, unpacking it on first use. Debian's mirrors drop old
// releases: if that of the cached kernel is gone, a newer kernel replaces it.
func findHeaders(ctx context.Context, cache, series string) (string, error) {
	k, err := findKernel(ctx, cache, series)
	if err != nil {
		return "", err
	}
	unlock, err := lock(filepath.Join(cache, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if dir := k.headers(cache); exists(dir) {
		return dir, nil
	}
	repo, err := aptWith(ctx, cache, "linux-headers-"+k.release)
	if err != nil {
		newer, nerr := newestKernel(ctx, cache, series)
		if nerr != nil || !older(k.release, newer.release) {
			return "", fmt.Errorf("no headers for the cached kernel (rm -r %s fetches another): %w", k.dir, err)
		}
		fmt.Fprintf(os.Stderr, "vm: no headers for %s any more, taking %s instead\n", k.release, newer.release)
		k = newer
		if repo, err = aptWith(ctx, cache, "linux-headers-"+k.release); err != nil {
			return "", err
		}
	}
	return k.headers(cache), repo.unpackHeaders(ctx, k, cache)
}

// headers is where modules for the kernel are built.
func (k kernel) headers(cache string) string {
	return filepath.Join(cache, "headers-"+k.release, "usr", "src", "linux-headers-"+k.release)
}

// unpackHeaders puts a headers package and the parts that it depends on below
// one root. Debian's makefiles name each other by the places where they would
// be installed; here those names are changed to where they are.
func (a apt) unpackHeaders(ctx context.Context, k kernel, cache string) error {
	dir := filepath.Join(cache, "headers-"+k.release)
	pkg := "linux-headers-" + k.release
	parts, err := a.depends(ctx, pkg)
	if err != nil {
		return err
	}
	root, cleanup, err := a.fetch(ctx, cache, append(parts, pkg)...)
	if err != nil {
		return err
	}
	defer cleanup()
	makefile := filepath.Join(root, "usr", "src", pkg, "Makefile")
	text, err := os.ReadFile(makefile)
	if err != nil {
		return err
	}
	if err := os.WriteFile(makefile, relocate(text, dir), 0o644); err != nil {
		return err
	}
	return os.Rename(root, dir)
}

// relocate changes the absolute names in a headers package's makefile.
func relocate(makefile []byte, root string) []byte {
	return bytes.ReplaceAll(makefile, []byte(" /usr/"), []byte(" "+root+"/usr/"))
}

// depends lists the packages that hold the other parts of a headers package.
func (a apt) depends(ctx context.Context, pkg string) ([]string, error) {
	out, err := command(ctx, "", "apt-cache", append(a.options, "depends", "--important", pkg)...)
	if err != nil {
		return nil, err
	}
	return partsOf(out), nil
}

// partsOf picks the parts of a headers package from what apt-cache depends says.
func partsOf(depends string) (parts []string) {
	for line := range strings.Lines(depends) {
		name, ok := strings.CutPrefix(strings.TrimSpace(line), "Depends: ")
		if ok && headerParts.MatchString(name) {
			parts = append(parts, name)
		}
	}
	return parts
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
