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
	own := apt{}
	if pkg := own.newest(ctx, pattern); pkg != "" {
		return pkg, own, nil
	}
	updateErr := own.update(ctx)
	if pkg := own.newest(ctx, pattern); pkg != "" {
		return pkg, own, nil
	}
	private, err := backports(ctx, cache)
	if err == nil {
		err = private.update(ctx)
	}
	if pkg := private.newest(ctx, pattern); pkg != "" {
		return pkg, private, nil
	}
	return "", own, errors.Join(fmt.Errorf("apt knows no package like %v", pattern), updateErr, err)
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
	tmp, err := os.MkdirTemp(filepath.Dir(k.dir), "unpack-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if _, err := command(ctx, tmp, "apt-get", append(a.options, "-qq", "-o", "APT::Sandbox::User=root", "download", pkg)...); err != nil {
		return err
	}
	debs, _ := filepath.Glob(filepath.Join(tmp, "*.deb"))
	if len(debs) != 1 {
		return fmt.Errorf("apt-get download %s left %d packages", pkg, len(debs))
	}
	root := filepath.Join(tmp, "root")
	if _, err := command(ctx, tmp, "dpkg-deb", "-x", debs[0], root); err != nil {
		return err
	}
	if _, err := command(ctx, tmp, "depmod", "-b", root, k.release); err != nil {
		return err
	}
	return os.Rename(root, k.dir)
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
