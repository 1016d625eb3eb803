package main

import (
	"slices"
	"testing"
)

func TestPartsOfHeaders(t *testing.T) {
	const said = `linux-headers-6.12.117+deb12-amd64
  Depends: linux-base
  Depends: linux-headers-6.12.117+deb12-common
 |Depends: linux-image-6.12.117+deb12-amd64
  Depends: linux-image-6.12.117+deb12-amd64-unsigned
  Depends: linux-kbuild-6.12.117+deb12
  Depends: gcc-12
`
	want := []string{"linux-headers-6.12.117+deb12-common", "linux-kbuild-6.12.117+deb12"}
	if got := partsOf(said); !slices.Equal(got, want) {
		t.Errorf("parts: %q, want %q", got, want)
	}
}

func TestRelocate(t *testing.T) {
	got := relocate([]byte("include /usr/src/linux-headers-6.1.0-56-common/Makefile\n"), "/cache/h")
	if want := "include /cache/h/usr/src/linux-headers-6.1.0-56-common/Makefile\n"; string(got) != want {
		t.Errorf("relocated: %q, want %q", got, want)
	}
}

func TestHeadersAreThoseOfTheKernel(t *testing.T) {
	k := kernel{release: "6.1.0-56-amd64"}
	if got, want := k.headers("/c"), "/c/headers-6.1.0-56-amd64/usr/src/linux-headers-6.1.0-56-amd64"; got != want {
		t.Errorf("headers: %s, want %s", got, want)
	}
}
