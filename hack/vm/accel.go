package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Emulation runs all virtual CPUs on one thread: with one thread each, QEMU 7.2
// may translate code that another CPU is just patching, and a kernel that
// switches a static key under load (the first tc filter, while packets flow)
// dies of a stale int3. Seen with 6.12; on two busy cores it costs nothing.
var (
	accelKVM = []string{"-accel", "kvm", "-cpu", "host"}
	accelTCG = []string{"-accel", "tcg,thread=single", "-cpu", "max,la57=off"}
)

// counted is how a clock counts instructions: 2^0 ns each.
const counted = "shift=0"

// kvmLimit is how long a guest may take to show life under KVM; a working one
// needs about a second.
const kvmLimit = 15 * time.Second

// accelerator chooses KVM only if a guest was really seen to boot with it:
// there are machines on which /dev/kvm opens and guests never start. The
// result is kept until the machine reboots.
func accelerator(ctx context.Context, cache string, k kernel) ([]string, error) {
	if f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0); err != nil {
		return accelTCG, nil
	} else {
		_ = f.Close()
	}
	unlock, err := lock(filepath.Join(cache, "lock"))
	if err != nil {
		return nil, err
	}
	defer unlock()
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, err
	}
	known := filepath.Join(cache, "kvm-"+strings.TrimSpace(string(id)))
	result, err := os.ReadFile(known)
	if err != nil {
		result = []byte("no")
		if seenToBoot(ctx, k, accelKVM) {
			result = []byte("yes")
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err := os.WriteFile(known, result, 0o644); err != nil {
			return nil, err
		}
	}
	if string(result) == "yes" {
		return accelKVM, nil
	}
	return accelTCG, nil
}

// seenToBoot boots a guest that only says that it is alive.
func seenToBoot(ctx context.Context, k kernel, accel []string) bool {
	ctx, cancel := context.WithTimeout(ctx, kvmLimit)
	defer cancel()
	ird, err := initrd(k, config{})
	if err != nil {
		return false
	}
	args := append(accel, "-m", "512")
	status, err := machine(ctx, k, ird, args, "flowshunt.probe", io.Discard, &console{})
	return err == nil && strings.HasPrefix(status, "alive")
}
