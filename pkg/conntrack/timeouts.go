package conntrack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
)

// sysctlDir shows the values of the network namespace of the thread that opens
// its files.
const sysctlDir = "/proc/sys/net/netfilter/"

// readSysctl returns a value of the calling thread's network namespace.
func readSysctl(name string) (uint64, error) {
	b, err := os.ReadFile(sysctlDir + name)
	if err != nil {
		return 0, err
	}
	v, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("sysctl net.netfilter.%s: %w", name, err)
	}
	return v, nil
}

// readSeconds is readSysctl, with 0 for a value that this kernel does not have:
// a protocol without a tracker of its own.
func readSeconds(name string) (uint32, error) {
	v, err := readSysctl("nf_conntrack_" + name)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	return uint32(min(v, 1<<31)), err
}

// Timeouts are how long the kernel itself keeps an established entry after a
// packet, in seconds: the targets of a keepalive. 0 means that this kernel does
// not track the protocol by name (DCCP from 6.16 on, say).
type Timeouts struct {
	TCP     uint32 // nf_conntrack_tcp_timeout_established
	UDP     uint32 // nf_conntrack_udp_timeout_stream
	SCTP    uint32 // nf_conntrack_sctp_timeout_established
	DCCP    uint32 // nf_conntrack_dccp_timeout_open
	GRE     uint32 // nf_conntrack_gre_timeout_stream
	ICMP    uint32 // nf_conntrack_icmp_timeout
	ICMPv6  uint32 // nf_conntrack_icmpv6_timeout
	Generic uint32 // nf_conntrack_generic_timeout: all others, ESP among them
}

// ReadTimeouts reads the timeouts of a network namespace, named as in Config.
func ReadTimeouts(netns int) (t Timeouts, err error) {
	err = inNetNS(netns, func() error {
		var errs []error
		read := func(to *uint32, name string) {
			v, err := readSeconds(name)
			*to, errs = v, append(errs, err)
		}
		read(&t.TCP, "tcp_timeout_established")
		read(&t.UDP, "udp_timeout_stream")
		read(&t.SCTP, "sctp_timeout_established")
		read(&t.DCCP, "dccp_timeout_open")
		read(&t.GRE, "gre_timeout_stream")
		read(&t.ICMP, "icmp_timeout")
		read(&t.ICMPv6, "icmpv6_timeout")
		read(&t.Generic, "generic_timeout")
		return errors.Join(errs...)
	})
	return t, err
}

// For returns the timeout of a protocol; those without a tracker of their own
// have the generic one.
func (t Timeouts) For(p flows.Proto) uint32 {
	own := map[flows.Proto]uint32{
		flows.TCP: t.TCP, flows.UDP: t.UDP, udpLite: t.UDP, flows.SCTP: t.SCTP,
		flows.DCCP: t.DCCP, flows.GRE: t.GRE, flows.ICMP: t.ICMP, flows.ICMPv6: t.ICMPv6,
	}[p]
	if own == 0 {
		return t.Generic
	}
	return own
}

// udpLite is IPPROTO_UDPLITE, which conntrack tracks with UDP's timeouts.
const udpLite flows.Proto = 136

// closingTimeouts are those of the TCP states after a FIN or RST, by state.
type closingTimeouts [flows.TCPClose + 1]uint32

// read reads the values of the calling thread's network namespace.
func (t *closingTimeouts) read() error {
	var errs []error
	for state, name := range map[flows.TCPState]string{
		flows.TCPFinWait: "fin_wait", flows.TCPCloseWait: "close_wait", flows.TCPLastAck: "last_ack",
		flows.TCPTimeWait: "time_wait", flows.TCPClose: "close",
	} {
		v, err := readSeconds("tcp_timeout_" + name)
		t[state], errs = v, append(errs, err)
	}
	return errors.Join(errs...)
}

// of returns the timeout of a state; 10 s, the kernel's shortest, for one that
// is not known.
func (t *closingTimeouts) of(s flows.TCPState) uint32 {
	if int(s) < len(t) && t[s] != 0 {
		return t[s]
	}
	return 10
}
