package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"syscall"
)

// kernel is one unpacked Debian kernel package.
type kernel struct {
	release string // as uname -r tells it: 6.1.0-56-amd64
	dir     string // the package's files, boot/ and lib/modules/ below
}

func (k kernel) image() string   { return filepath.Join(k.dir, "boot", "vmlinuz-"+k.release) }
func (k kernel) modules() string { return filepath.Join(k.dir, "lib", "modules", k.release) }

// series maps what a user asks for to the packages that Debian 12 has of it.
var series = map[string]*regexp.Regexp{
	"6.1":  regexp.MustCompile(`^linux-image-(6\.1\.\d+-\d+-amd64)-unsigned$`),
	"6.12": regexp.MustCompile(`^linux-image-(6\.12\.\d+\+deb12-amd64)-unsigned$`),
}

// cacheDir is where kernels and probe results are kept between runs.
func cacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(base, "flowshunt", "vm")
	return dir, os.MkdirAll(dir, 0o755)
}

// findKernel returns the newest kernel of a series that apt offers, unpacking
// it on first use. Once a series is in the cache apt is asked again only when
// the cached one is removed (`rm -r` of the cache): a test run should neither
// need the network nor change its kernel under a developer's hands.
func findKernel(ctx context.Context, cache, name string) (kernel, error) {
	pattern, ok := series[name]
	if !ok {
		return kernel{}, fmt.Errorf("unknown kernel series %q: have 6.1 and 6.12", name)
	}
	unlock, err := lock(filepath.Join(cache, "lock"))
	if err != nil {
		return kernel{}, err
	}
	defer unlock()
	if k, ok := cachedKernel(cache, pattern); ok {
		return k, nil
	}
	return newestKernel(ctx, cache, name)
}

// newestKernel unpacks the newest kernel of a series that apt offers.
func newestKernel(ctx context.Context, cache, name string) (kernel, error) {
	pattern := series[name]
	pkg, apt, err := newestPackage(ctx, cache, pattern)
	if err != nil {
		return kernel{}, fmt.Errorf("kernel %s: %w", name, err)
	}
	k := kernel{release: pattern.FindStringSubmatch(pkg)[1]}
	k.dir = filepath.Join(cache, "kernel-"+k.release)
	if exists(k.dir) {
		return k, nil
	}
	fmt.Fprintln(os.Stderr, "vm: fetching", pkg)
	return k, apt.unpack(ctx, pkg, k)
}

func cachedKernel(cache string, pattern *regexp.Regexp) (kernel, bool) {
	dirs, _ := filepath.Glob(filepath.Join(cache, "kernel-*"))
	sort.Slice(dirs, func(i, j int) bool { return older(dirs[i], dirs[j]) })
	for i := len(dirs) - 1; i >= 0; i-- {
		release := strings.TrimPrefix(filepath.Base(dirs[i]), "kernel-")
		if pattern.MatchString("linux-image-" + release + "-unsigned") {
			return kernel{release, dirs[i]}, true
		}
	}
	return kernel{}, false
}

var number = regexp.MustCompile(`\d+`)

// older compares version strings by their numbers, so that 47 < 56 < 107.
func older(a, b string) bool {
	x, y := number.FindAllString(a, -1), number.FindAllString(b, -1)
	for i := range min(len(x), len(y)) {
		m, _ := strconv.Atoi(x[i])
		n, _ := strconv.Atoi(y[i])
		if m != n {
			return m < n
		}
	}
	return len(x) < len(y)
}

// lock takes an exclusive file lock: several machines may be started at once.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil
}

// command runs a program and returns its stdout, with stderr in the error.
func command(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}
