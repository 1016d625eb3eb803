package conntrack

import (
	"context"
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPreflight(t *testing.T) {
	netns := enterNetNS(t)
	if advice, err := Preflight(context.Background(), netns); err != nil || len(advice) != 0 {
		t.Fatalf("where all is well: %v, %v", advice, err)
	}
	setSysctl(t, "nf_conntrack_events", 2)
	setSysctl(t, "nf_conntrack_acct", 0)
	setSysctl(t, "nf_conntrack_timestamp", 0)
	advice, err := Preflight(context.Background(), netns)
	var problems *PreflightError
	if !errors.As(err, &problems) || len(problems.Problems) != 2 {
		t.Fatalf("got %v, want two problems", err)
	}
	for _, want := range []string{
		"net.netfilter.nf_conntrack_events is 2, must be 1",
		"sysctl -w net.netfilter.nf_conntrack_events=1",
		"net.netfilter.nf_conntrack_acct is 0, must be 1",
		"sysctl -w net.netfilter.nf_conntrack_acct=1",
		"/etc/sysctl.d/60-flowshunt.conf",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in:\n%v", want, err)
		}
	}
	if len(advice) != 1 || !strings.Contains(advice[0].What, "nf_conntrack_timestamp") {
		t.Errorf("advice: %+v", advice)
	}
}

func TestPreflightWithoutPrivilege(t *testing.T) {
	netns := enterNetNS(t)
	dropNetAdmin(t)
	// In the caller's own namespace: a thread without the privilege cannot
	// enter one, and this one is already there.
	_, err := Preflight(context.Background(), 0)
	var problems *PreflightError
	if !errors.As(err, &problems) || len(problems.Problems) != 1 || !strings.Contains(err.Error(), "CAP_NET_ADMIN") {
		t.Fatalf("got %v, want one problem", err)
	}
	_ = netns
}

// dropNetAdmin takes CAP_NET_ADMIN from the calling thread, which is locked and
// ends with the test.
func dropNetAdmin(t *testing.T) {
	t.Helper()
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&head, &data[0]); err != nil {
		t.Fatal(err)
	}
	data[0].Effective &^= 1 << unix.CAP_NET_ADMIN
	if err := unix.Capset(&head, &data[0]); err != nil {
		t.Fatal(err)
	}
}

func TestReadUsage(t *testing.T) {
	netns := enterNetNS(t)
	create(t, netns, 12, established)
	u, err := ReadUsage(netns)
	if err != nil || u.Count != 12 || u.Max == 0 {
		t.Errorf("%+v, %v", u, err)
	}
}
