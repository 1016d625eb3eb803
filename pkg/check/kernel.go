package check

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"strings"
)

// kernel is what the running kernel calls itself.
type kernel struct {
	release  string  // uname -r
	version  version // of kernel.org's release that it was made from; zero: not known
	guessed  bool    // version is that of the release's name, whose third number vendors freeze
	fileSays error   // why release is empty
}

// version is a release of kernel.org.
type version [3]int

func (v version) String() string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }

func (v version) less(w version) bool {
	for i := range v {
		if v[i] != w[i] {
			return v[i] < w[i]
		}
	}
	return false
}

func (v version) series(w version) bool { return v[0] == w[0] && v[1] == w[1] }

func parseVersion(s string) (v version) {
	_, _ = fmt.Sscanf(s, "%d.%d.%d", &v[0], &v[1], &v[2]) // what is missing stays 0
	return v
}

// Vendors freeze the third number of uname -r. Debian writes the true one into
// /proc/version, Ubuntu into /proc/version_signature.
var debian = regexp.MustCompile(`Debian (\d+\.\d+\.\d+)`)

func readKernel(root fs.FS) (k kernel) {
	k.release, k.fileSays = read(root, "proc/sys/kernel/osrelease")
	k.version, k.guessed = parseVersion(k.release), true
	if s, err := read(root, "proc/version"); err == nil {
		for _, m := range debian.FindAllStringSubmatch(s, -1) { // the compiler has one too
			k.take(m[1])
		}
	}
	if s, err := read(root, "proc/version_signature"); err == nil {
		if f := strings.Fields(s); len(f) > 0 {
			k.take(f[len(f)-1])
		}
	}
	return k
}

// take takes what a vendor says that the kernel was made from, if it can be true.
func (k *kernel) take(s string) {
	if v := parseVersion(s); v != (version{}) && v.series(k.version) {
		k.version, k.guessed = v, false
	}
}

// oldest is the first kernel that works: terse dumps of filters came with it
// (commit f8ab1807a9c9).
var oldest = version{5, 8, 0}

func release(_ context.Context, n *node) []Line {
	const name = "release"
	k := n.kernel
	switch {
	case k.version == (version{}):
		return []Line{unknown(name, errors.Join(errors.New("the kernel's release cannot be read"), k.fileSays))}
	case k.version.less(oldest):
		return []Line{fatal(name, "%s, must be %d.%d or later", k.release, oldest[0], oldest[1]).
			why("rules cannot be read back without reading all of them (terse dumps)").fix("boot a newer kernel")}
	case k.guessed:
		return []Line{ok(name, "%s", k.release)}
	}
	return []Line{ok(name, "%s, made from %s", k.release, k.version)}
}

// readKernelConfig returns the options that the kernel was built with, without the
// CONFIG_; nil if nobody tells.
func readKernelConfig(root fs.FS, release string) map[string]string {
	if f, err := root.Open("proc/config.gz"); err == nil {
		defer f.Close()
		if z, err := gzip.NewReader(f); err == nil {
			return parseKernelConfig(z)
		}
	}
	for _, name := range []string{"boot/config-" + release, "lib/modules/" + release + "/config"} {
		if f, err := root.Open(name); err == nil {
			defer f.Close()
			return parseKernelConfig(f)
		}
	}
	return nil
}

func parseKernelConfig(r io.Reader) map[string]string {
	options := make(map[string]string)
	lines := bufio.NewScanner(io.LimitReader(r, maxFile))
	for lines.Scan() {
		if name, value, found := strings.Cut(lines.Text(), "="); found && strings.HasPrefix(name, "CONFIG_") {
			options[strings.TrimPrefix(name, "CONFIG_")] = value
		}
	}
	if len(options) == 0 {
		return nil
	}
	return options
}
