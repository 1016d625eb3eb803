package harness

import (
	"net/netip"
	"testing"
	"time"
)

// Ping pings until one answer came.
func (vm *VM) Ping(t testing.TB, to netip.Addr) {
	t.Helper()
	Within(t, 20*time.Second, vm.Name+" pings "+to.String(), func() error {
		_, err := vm.Try("ping", "-c", "1", "-W", "1", to.String())
		return err
	})
}
