package main

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The guest's first process: mounts the host's root and hands over to job.sh.
//
//go:embed init.sh
var initScript []byte

// What runs in the guest once it has its root: mounts, then the command.
//
//go:embed job.sh
var jobScript []byte

// What the guest needs before it can see the host's root.
var earlyModules = []string{"virtio_pci", "virtio_console", "virtio_rng", "9pnet_virtio", "9p", "overlay"}

// archive is an initial RAM file system in the making: cpio's "newc" format
// (Documentation/driver-api/early-userspace/buffer-format.rst), gzipped.
type archive struct {
	buf  bytes.Buffer
	gz   *gzip.Writer
	next int
	off  int
}

func newArchive() *archive {
	a := &archive{}
	a.gz, _ = gzip.NewWriterLevel(&a.buf, gzip.BestSpeed)
	return a
}

const (
	modeDir  = 0o040755
	modeFile = 0o100755
)

// add appends one file or directory; parents must have been added before.
func (a *archive) add(name string, mode uint32, data []byte) {
	a.next++
	header := fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		a.next, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0)
	a.write([]byte(header + name + "\x00"))
	a.write(data)
}

func (a *archive) write(b []byte) {
	_, _ = a.gz.Write(b) // into memory: cannot fail
	pad := -(a.off + len(b)) & 3
	_, _ = a.gz.Write(make([]byte, pad))
	a.off += len(b) + pad
}

func (a *archive) bytes() []byte {
	a.add("TRAILER!!!", 0, nil)
	_ = a.gz.Close()
	return a.buf.Bytes()
}

// initrd builds the guest's initial file system for a job.
func initrd(k kernel, cfg config) ([]byte, error) {
	a := newArchive()
	for _, d := range []string{"bin", "dev", "proc", "sys", "ro", "rw", "new", "modules", "job"} {
		a.add(d, modeDir, nil)
	}
	busybox, err := os.ReadFile("/bin/busybox")
	if err != nil {
		return nil, fmt.Errorf("%w (package busybox-static)", err)
	}
	a.add("bin/busybox", modeFile, busybox)
	a.add("init", modeFile, initScript)
	files, err := k.dependencies(earlyModules)
	if err != nil {
		return nil, err
	}
	for i, f := range files {
		data, err := os.ReadFile(filepath.Join(k.modules(), f))
		if err != nil {
			return nil, err
		}
		a.add(fmt.Sprintf("modules/%02d-%s", i, filepath.Base(f)), modeFile, data)
	}
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	a.add("job/run", modeFile, jobScript)
	a.add("job/argv", modeFile, zeroSeparated(cfg.argv))
	a.add("job/env", modeFile, zeroSeparated(cfg.env))
	a.add("job/share", modeFile, zeroSeparated(cfg.share))
	a.add("job/dir", modeFile, []byte(dir))
	a.add("job/modules", modeFile, []byte(k.modules()))
	return a.bytes(), nil
}

// zeroSeparated joins strings so that any content survives, as `find -print0`.
func zeroSeparated(s []string) []byte {
	var b []byte
	for _, v := range s {
		b = append(append(b, v...), 0)
	}
	return b
}

// dependencies lists the module files to load, in order, for the named modules.
func (k kernel) dependencies(names []string) ([]string, error) {
	dep, err := os.ReadFile(filepath.Join(k.modules(), "modules.dep"))
	if err != nil {
		return nil, err
	}
	needs, byName := map[string][]string{}, map[string]string{}
	for line := range strings.Lines(string(dep)) {
		file, deps, _ := strings.Cut(strings.TrimSpace(line), ":")
		needs[file] = strings.Fields(deps)
		name, _, _ := strings.Cut(filepath.Base(file), ".ko")
		byName[strings.ReplaceAll(name, "-", "_")] = file
	}
	var order []string
	seen := map[string]bool{}
	var visit func(file string)
	visit = func(file string) {
		if seen[file] {
			return
		}
		seen[file] = true
		for _, d := range needs[file] {
			visit(d)
		}
		order = append(order, file)
	}
	for _, n := range names {
		if file := byName[n]; file != "" { // else built in
			visit(file)
		}
	}
	return order, nil
}
