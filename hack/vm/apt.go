package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// apt is an apt configuration: options that go before every sub-command.
// The zero value is the machine's own.
type apt struct {
	options []string
}

// newestPackage finds the newest package that matches, first among what the
// machine's apt knows, then after an update, then in backports.
func newestPackage(ctx context.Context, cache string, pattern *regexp.Regexp) (string, apt, error) {
	found := ""
	a, err := firstApt(ctx, cache, func(a apt) bool {
		found = a.newest(ctx, pattern)
		return found != ""
	})
	if err != nil {
		return "", a, fmt.Errorf("apt knows no package like %v%w", pattern, err)
	}
	return found, a, nil
}

// aptWith finds the configuration that has a package, in the same order.
func aptWith(ctx context.Context, cache, pkg string) (apt, error) {
	a, err := firstApt(ctx, cache, func(a apt) bool { return a.available(ctx, pkg) })
	if err != nil {
		return a, fmt.Errorf("apt has no package %s%w", pkg, err)
	}
	return a, nil
}

// noApt says why no configuration would do: the errors of those that could not
// even be asked.
type noApt struct{ error }

func (e noApt) Error() string {
	if e.error == nil {
		return ""
	}
	return ": " + e.error.Error()
}

func (e noApt) Unwrap() error { return e.error }

// firstApt returns the first configuration that has what is wanted.
func firstApt(ctx context.Context, cache string, has func(apt) bool) (apt, error) {
	own := apt{}
	if has(own) {
		return own, nil
	}
	updateErr := own.update(ctx)
	if has(own) {
		return own, nil
	}
	private, err := backports(ctx, cache)
	if err == nil {
		err = private.update(ctx)
		if has(private) {
			return private, nil
		}
	}
	return own, noApt{errors.Join(updateErr, err)}
}

func (a apt) update(ctx context.Context) error {
	_, err := command(ctx, "", "apt-get", append(a.options, "-qq", "update")...)
	return err
}

func (a apt) newest(ctx context.Context, pattern *regexp.Regexp) string {
	out, err := command(ctx, "", "apt-cache", append(a.options, "pkgnames", "linux-image-6")...)
	if err != nil {
		return ""
	}
	best := ""
	for _, pkg := range strings.Fields(out) {
		if pattern.MatchString(pkg) && (best == "" || older(best, pkg)) && a.available(ctx, pkg) {
			best = pkg
		}
	}
	return best
}

// available says whether a package can be had: apt also lists names of packages
// that are only mentioned, or were installed once.
func (a apt) available(ctx context.Context, pkg string) bool {
	out, err := command(ctx, "", "apt-cache", append(a.options, "show", "--no-all-versions", pkg)...)
	return err == nil && strings.Contains(out, "\nFilename: ")
}

// unpack downloads a kernel package and unpacks it. It is not installed: that
// would touch the machine's own boot files.
func (a apt) unpack(ctx context.Context, pkg string, k kernel) error {
	root, cleanup, err := a.fetch(ctx, filepath.Dir(k.dir), pkg)
	if err != nil {
		return err
	}
	defer cleanup()
	if _, err := command(ctx, "", "depmod", "-b", root, k.release); err != nil {
		return err
	}
	return os.Rename(root, k.dir)
}

// fetch downloads packages and unpacks them into one temporary root below dir,
// to be renamed, or removed by cleanup.
func (a apt) fetch(ctx context.Context, dir string, pkgs ...string) (root string, cleanup func(), err error) {
	tmp, err := os.MkdirTemp(dir, "unpack-")
	if err != nil {
		return "", nil, err
	}
	cleanup = func() { _ = os.RemoveAll(tmp) }
	defer func() {
		if err != nil {
			cleanup()
		}
	}()
	get := append(a.options, "-qq", "-o", "APT::Sandbox::User=root", "download")
	if _, err := command(ctx, tmp, "apt-get", append(get, pkgs...)...); err != nil {
		return "", nil, err
	}
	debs, _ := filepath.Glob(filepath.Join(tmp, "*.deb"))
	if len(debs) != len(pkgs) {
		return "", nil, fmt.Errorf("apt-get download %s left %d packages", strings.Join(pkgs, " "), len(debs))
	}
	root = filepath.Join(tmp, "root")
	for _, deb := range debs {
		if _, err := command(ctx, tmp, "dpkg-deb", "-x", deb, root); err != nil {
			return "", nil, err
		}
	}
	return root, cleanup, nil
}

// backports sets up a private apt that knows the backports of the release on
// the mirrors that this machine already uses. The machine's own apt
// configuration stays as it is.
func backports(ctx context.Context, cache string) (apt, error) {
	out, err := command(ctx, "", "apt-get", "indextargets",
		"--format", "$(RELEASE) $(REPO_URI)", "Created-By: Packages", "Origin: Debian")
	if err != nil {
		return apt{}, err
	}
	source := ""
	for line := range strings.Lines(out) {
		release, uri, ok := strings.Cut(strings.TrimSpace(line), " ")
		if ok && !strings.ContainsAny(release, "-/") { // not bookworm-updates and the like
			source = fmt.Sprintf("Types: deb\nURIs: %s\nSuites: %s-backports\nComponents: main\n", uri, release)
			break
		}
	}
	if source == "" {
		return apt{}, errors.New("apt has no source of the release itself to take the backports' mirror from")
	}
	dir := filepath.Join(cache, "apt")
	if err := os.MkdirAll(filepath.Join(dir, "lists", "partial"), 0o755); err != nil {
		return apt{}, err
	}
	if err := os.WriteFile(filepath.Join(dir, "backports.sources"), []byte(source), 0o644); err != nil {
		return apt{}, err
	}
	return apt{options: []string{
		"-o", "Dir::Etc::sourcelist=/dev/null",
		"-o", "Dir::Etc::sourceparts=" + dir,
		"-o", "Dir::State::lists=" + filepath.Join(dir, "lists"),
		"-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=",
		"-o", "APT::Sandbox::User=root",
	}}, nil
}
