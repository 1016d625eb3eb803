package conntrack

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/flows"
)

// Problem is one reason why conntrack cannot be relied on here.
type Problem struct {
	What string   // what was found and what is needed instead
	Why  string   // what goes wrong otherwise
	Fix  []string // shell commands that cure it, now and for the next boot
}

// PreflightError lists every problem that Preflight found.
type PreflightError struct {
	Problems []Problem
}

// Error implements error: one paragraph for each problem.
func (e *PreflightError) Error() string {
	var b strings.Builder
	b.WriteString("conntrack is not usable as it is:")
	for _, p := range e.Problems {
		fmt.Fprintf(&b, "\n- %s: %s", p.What, p.Why)
		for _, fix := range p.Fix {
			fmt.Fprintf(&b, "\n    %s", fix)
		}
	}
	return b.String()
}

// Usage is how full the conntrack table is. Both numbers count entries; Max
// holds for the whole host and can be set in its initial namespace only.
type Usage struct {
	Count, Max uint64
}

// ReadUsage reads the usage of a network namespace, named as in Config.
func ReadUsage(netns int) (u Usage, err error) {
	err = inNetNS(netns, func() (err error) {
		if u.Count, err = readSysctl("nf_conntrack_count"); err == nil {
			u.Max, err = readSysctl("nf_conntrack_max")
		}
		return err
	})
	if err != nil {
		return Usage{}, fmt.Errorf("read conntrack table usage: %w", err)
	}
	return u, nil
}

// Preflight checks that conntrack in a network namespace, named as in Config,
// tells all that decisions need. The error is a *PreflightError if it does not;
// advice is what one can do without, at a price.
func Preflight(ctx context.Context, netns int) (advice []Problem, err error) {
	var problems []Problem
	if p := checkAccess(ctx, netns); p != nil {
		problems = append(problems, *p)
	}
	for _, want := range wantedSysctls {
		if p := want.check(netns); p != nil && want.advice {
			advice = append(advice, *p)
		} else if p != nil {
			problems = append(problems, *p)
		}
	}
	if len(problems) > 0 {
		return advice, &PreflightError{Problems: problems}
	}
	return advice, nil
}

// checkAccess asks for an entry that cannot exist: "not found" is the answer of
// a kernel that has ctnetlink to a caller who may use it.
func checkAccess(ctx context.Context, netns int) *Problem {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := Dial(Config{NetNS: netns})
	if err == nil {
		defer conn.Close()
		_, err = conn.Find(ctx, 0, flows.Tuple{Src: netip.IPv4Unspecified(), Dst: netip.IPv4Unspecified(), Proto: 255})
	}
	switch {
	case err == nil || errors.Is(err, ErrNotFound):
		return nil
	case errors.Is(err, unix.EPERM):
		return &Problem{
			What: "no CAP_NET_ADMIN",
			Why:  "ctnetlink refuses to read and to change conntrack entries",
			Fix:  []string{"run as root, or set AmbientCapabilities=CAP_NET_ADMIN in the systemd unit"},
		}
	default:
		return &Problem{
			What: fmt.Sprintf("ctnetlink does not answer (%v)", err),
			Why:  "conntrack entries cannot be read; the kernel module nf_conntrack_netlink is missing, most likely",
			Fix: []string{
				"modprobe nf_conntrack_netlink",
				"echo nf_conntrack_netlink >>/etc/modules-load.d/flowshunt.conf",
			},
		}
	}
}

// wantedSysctl is a switch under net.netfilter that must be on.
type wantedSysctl struct {
	name, why string
	advice    bool
}

var wantedSysctls = []wantedSysctl{
	{name: "nf_conntrack_events", why: "with 2, the default, an entry that was made while nobody listened never reports anything, not even its end; with 0 none does"},
	{name: "nf_conntrack_acct", why: "an entry that was made while this was off has no packet and byte counters, ever"},
	{name: "nf_conntrack_timestamp", advice: true, why: "without a start, a connection that follows another on the same ports at once can look like it: they have the same id"},
}

func (w wantedSysctl) check(netns int) *Problem {
	var got uint64
	err := inNetNS(netns, func() (err error) {
		got, err = readSysctl(w.name)
		return err
	})
	if err == nil && got == 1 {
		return nil
	}
	must := "must be 1"
	if w.advice {
		must = "should be 1"
	}
	found := fmt.Sprintf("is %d", got)
	if err != nil {
		found = fmt.Sprintf("cannot be read (%v)", err)
	}
	return &Problem{
		What: fmt.Sprintf("sysctl net.netfilter.%s %s, %s", w.name, found, must),
		Why:  w.why,
		Fix: []string{
			fmt.Sprintf("sysctl -w net.netfilter.%s=1", w.name),
			fmt.Sprintf("echo 'net.netfilter.%s = 1' >>/etc/sysctl.d/60-flowshunt.conf", w.name),
			// Without the module the key does not exist when sysctl.d is applied.
			"echo nf_conntrack >>/etc/modules-load.d/flowshunt.conf",
		},
	}
}
