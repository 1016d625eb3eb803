package harness

import (
	"fmt"
	"testing"
	"time"
)

// HTTPServer serves a directory by HTTP, over IPv4 and IPv6, until the test
// ends; curl in another machine gets what is there.
func (vm *VM) HTTPServer(t testing.TB, port uint16, dir string) {
	t.Helper()
	p := vm.Start(t, "busybox", "httpd", "-f", "-p", fmt.Sprint(port), "-h", dir)
	Within(t, 20*time.Second, "httpd answers", func() error {
		if !p.Running() {
			t.Fatalf("httpd has ended:\n%s", p.Output())
		}
		_, err := vm.Try("curl", "-s", "-m", "5", "-o", "/dev/null", fmt.Sprintf("http://127.0.0.1:%d/", port))
		return err
	})
}

// Curl gets a page and returns it.
func (vm *VM) Curl(t testing.TB, url string, flags ...string) string {
	t.Helper()
	args := append([]string{"curl", "-sS", "-g", "-m", "50"}, flags...)
	return vm.Run(t, append(args, url)...)
}
