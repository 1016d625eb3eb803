package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestOlder(t *testing.T) {
	got := []string{"linux-image-6.1.0-56-amd64", "linux-image-6.1.0-9-amd64", "linux-image-6.1.0-107-amd64"}
	slices.SortFunc(got, func(a, b string) int {
		if older(a, b) {
			return -1
		}
		return 1
	})
	want := []string{"linux-image-6.1.0-9-amd64", "linux-image-6.1.0-56-amd64", "linux-image-6.1.0-107-amd64"}
	if !slices.Equal(got, want) {
		t.Errorf("sorted: %v", got)
	}
}

func TestSeries(t *testing.T) {
	tests := []struct{ series, pkg, release string }{
		{"6.1", "linux-image-6.1.0-56-amd64-unsigned", "6.1.0-56-amd64"},
		{"6.1", "linux-image-6.1.0-56-cloud-amd64-unsigned", ""},
		{"6.1", "linux-image-6.12.95+deb12-amd64-unsigned", ""},
		{"6.12", "linux-image-6.12.95+deb12-amd64-unsigned", "6.12.95+deb12-amd64"},
		{"6.12", "linux-image-6.12.95+deb12-rt-amd64-unsigned", ""},
	}
	for _, tt := range tests {
		m := series[tt.series].FindStringSubmatch(tt.pkg)
		if (tt.release == "") != (m == nil) || m != nil && m[1] != tt.release {
			t.Errorf("%s: %s: %v, want %q", tt.series, tt.pkg, m, tt.release)
		}
	}
}

func TestCachedKernelTakesTheNewest(t *testing.T) {
	cache := t.TempDir()
	for _, r := range []string{"6.1.0-9-amd64", "6.1.0-56-amd64", "6.12.95+deb12-amd64"} {
		if err := os.Mkdir(filepath.Join(cache, "kernel-"+r), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if k, ok := cachedKernel(cache, series["6.1"]); !ok || k.release != "6.1.0-56-amd64" {
		t.Errorf("cached: %+v, %v", k, ok)
	}
}

func TestDependenciesComeFirst(t *testing.T) {
	k := kernel{release: "r", dir: t.TempDir()}
	if err := os.MkdirAll(k.modules(), 0o755); err != nil {
		t.Fatal(err)
	}
	dep := "k/9p.ko: k/9pnet.ko k/netfs.ko\nk/9pnet.ko:\nk/netfs.ko: k/fscache.ko\nk/fscache.ko:\nk/virtio-rng.ko.xz:\n"
	if err := os.WriteFile(filepath.Join(k.modules(), "modules.dep"), []byte(dep), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := k.dependencies([]string{"virtio_rng", "9p", "built_in"})
	want := []string{"k/virtio-rng.ko.xz", "k/9pnet.ko", "k/fscache.ko", "k/netfs.ko", "k/9p.ko"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("dependencies: %v, %v, want %v", got, err, want)
	}
}

// TestArchive lets cpio judge what the kernel will have to read.
func TestArchive(t *testing.T) {
	if _, err := exec.LookPath("busybox"); err != nil {
		t.Skip("missing: busybox (hack/setup vm)")
	}
	a := newArchive()
	a.add("job", modeDir, nil)
	a.add("job/argv", modeFile, zeroSeparated([]string{"a b", "", "c'\n"}))
	dir := t.TempDir()
	cmd := exec.Command("sh", "-c", "gunzip | busybox cpio -id")
	cmd.Dir = dir
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = in.Write(a.bytes())
		_ = in.Close()
	}()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cpio: %v: %s", err, out)
	}
	got, err := os.ReadFile(filepath.Join(dir, "job", "argv"))
	if err != nil || string(got) != "a b\x00\x00c'\n\x00" {
		t.Errorf("argv: %q, %v", got, err)
	}
}

func TestConsoleSeesAPanic(t *testing.T) {
	c := &console{died: func() {}}
	for _, part := range []string{"[ 1.0] all is well\r\n[ 2.0] Kernel pan", "ic - not syncing: Fatal exception\r\n"} {
		if c.panicked() {
			t.Error("panicked too early")
		}
		if _, err := io.WriteString(c, part); err != nil {
			t.Fatal(err)
		}
	}
	if !c.panicked() {
		t.Error("panic not seen")
	}
	if s := string(c.tail()); strings.Contains(s, "\r") || !strings.Contains(s, "Fatal exception") {
		t.Errorf("tail: %q", s)
	}
}

func TestParse(t *testing.T) {
	t.Setenv("FLOWSHUNT_VM_TEST", "it's set")
	cfg, err := parse([]string{"-kernel", "6.12", "-env", "FLOWSHUNT_VM_TEST", "-env", "A=b c", "--", "sh", "-c", "exit 3"})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.kernel != "6.12" || !slices.Equal(cfg.env, []string{"FLOWSHUNT_VM_TEST=it's set", "A=b c"}) || !slices.Equal(cfg.argv, []string{"sh", "-c", "exit 3"}) {
		t.Errorf("parse: %+v", cfg)
	}
	if _, err := parse(nil); err == nil {
		t.Error("no command: no error")
	}
}
