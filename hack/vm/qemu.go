package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// boot runs the job in a machine and returns the command's status.
func boot(ctx context.Context, k kernel, accel []string, cfg config) (int, error) {
	ird, err := initrd(k, cfg)
	if err != nil {
		return exitMachine, err
	}
	args := append(accel, "-m", strconv.Itoa(cfg.memory), "-smp", strconv.Itoa(cfg.cpus))
	if cfg.count && slices.Equal(accel, accelTCG) {
		args = append(args, "-icount", counted)
	}
	args = append(args, shared("root", "/", true)...)
	for i, dir := range cfg.share {
		args = append(args, shared(fmt.Sprintf("share%d", i), dir, false)...)
	}
	console := &console{}
	if cfg.verbose {
		console.copy = os.Stderr
	}
	status, err := machine(ctx, k, ird, args, cfg.append, os.Stdout, console)
	if cfg.log != "" {
		err = errors.Join(err, os.WriteFile(cfg.log, console.all.Bytes(), 0o644))
	}
	if err != nil {
		return exitMachine, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(status))
	if err != nil {
		return exitMachine, fmt.Errorf("the machine stopped before the command ended; its last words:\n%s", console.tail())
	}
	return n, nil
}

// shared is the QEMU device that lets the guest mount a host directory.
func shared(tag, dir string, readonly bool) []string {
	fs := "local,id=" + tag + ",path=" + strings.ReplaceAll(dir, ",", ",,") + ",security_model=none,multidevs=remap"
	if readonly {
		fs += ",readonly=on"
	}
	return []string{"-fsdev", fs, "-device", "virtio-9p-pci,fsdev=" + tag + ",mount_tag=" + tag}
}

// machine runs QEMU to its end, copying the guest's output, and returns what
// the guest wrote as its status.
func machine(ctx context.Context, k kernel, ird []byte, args []string, cmdline string, out io.Writer, con *console) (string, error) {
	work, err := os.MkdirTemp("", "flowshunt-vm-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	initrd := filepath.Join(work, "initrd")
	if err := os.WriteFile(initrd, ird, 0o600); err != nil {
		return "", err
	}
	var status bytes.Buffer
	outPort, err := listen(filepath.Join(work, "out"), out)
	if err != nil {
		return "", err
	}
	statusPort, err := listen(filepath.Join(work, "status"), &status)
	if err != nil {
		return "", err
	}
	// no_timer_check: the kernel panics when too few ticks arrive within its test of the
	// timer, as they do on a loaded host.
	args = append([]string{
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-nic", "none",
		"-kernel", k.image(), "-initrd", initrd,
		"-append", "console=ttyS0 loglevel=6 panic=-1 oops=panic mitigations=off rcupdate.rcu_expedited=1 no_timer_check random.trust_cpu=on " + cmdline,
		"-serial", "stdio", "-device", "virtio-rng-pci", "-device", "virtio-serial-pci",
		"-chardev", "socket,id=out,path=" + outPort.path, "-device", "virtserialport,chardev=out,nr=1",
		"-chardev", "socket,id=status,path=" + statusPort.path, "-device", "virtserialport,chardev=status,nr=2",
	}, args...)
	qctx, cancel := context.WithCancel(ctx)
	defer cancel()
	con.died = cancel
	cmd := exec.CommandContext(qctx, "qemu-system-x86_64", args...)
	// a runner that is killed takes its machine along; main holds the thread
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var stderr strings.Builder
	cmd.Stdout, cmd.Stderr = con, &stderr
	err = cmd.Run()
	outPort.wait()
	statusPort.wait()
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case con.panicked():
		return "", fmt.Errorf("the guest's kernel died:\n%s", con.tail())
	case err != nil:
		return "", fmt.Errorf("qemu: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return status.String(), nil
}

// port is the host's end of one virtio-serial port.
type port struct {
	path     string
	listener net.Listener
	done     chan struct{}
}

// listen accepts one connection on a unix socket and copies it to w.
func listen(path string, w io.Writer) (*port, error) {
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	p := &port{path, l, make(chan struct{})}
	go func() {
		defer close(p.done)
		conn, err := l.Accept()
		if err != nil {
			return // QEMU never started
		}
		defer conn.Close()
		_, _ = io.Copy(w, conn)
	}()
	return p, nil
}

// wait returns when QEMU has closed the port and everything is copied.
func (p *port) wait() {
	_ = p.listener.Close()
	<-p.done
}
