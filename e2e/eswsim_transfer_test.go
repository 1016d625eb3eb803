package e2e

import (
	"fmt"
	"net/netip"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// transferSize is what a transfer moves: enough for big (GSO) packets.
const transferSize = 3 << 20

// machine is a namespace in the words of the harness.
func (b *bench) machine(ns string) *harness.VM {
	return &harness.VM{Namespace: &harness.Namespace{Name: ns}}
}

// transfer sends data by TCP from one namespace to an address that another one has, or
// thinks that it has: serves is the port where it arrives. What is received is sent
// back; all must be as it was sent.
func (b *bench) transfer(from, to, addr string, serves uint16) {
	b.Helper()
	server := b.machine(to).Listen(b.T, "tcp", serves, true)
	defer server.Stop()
	client := b.machine(from).Dial(b.T, "tcp", netip.MustParseAddrPort(addr), 0, 1)
	defer client.Stop()
	client.Do(1, fmt.Sprint("send ", transferSize))
	harness.Within(b.T, patience, "all comes back", func() error {
		if c := client.Report(1); c.Received != transferSize {
			return fmt.Errorf("client: %+v", c)
		}
		return nil
	})
	c, s := client.Report(1), server.Report(1)
	if c.Sent != transferSize || s.Received != c.Sent || c.SentCRC != s.RecvCRC || c.RecvCRC != c.SentCRC {
		b.Errorf("client %+v, server %+v", c, s)
	}
}

// datagrams is transfer by UDP: some small ones that must all arrive.
func (b *bench) datagrams(from, to, addr string, serves uint16) {
	b.Helper()
	server := b.machine(to).Listen(b.T, "udp", serves, true)
	defer server.Stop()
	client := b.machine(from).Dial(b.T, "udp", netip.MustParseAddrPort(addr), 0, 1)
	defer client.Stop()
	const sent = 5000
	client.Do(1, fmt.Sprint("send ", sent, " 50000"))
	harness.Within(b.T, patience, "all comes back", func() error {
		if c := client.Report(1); c.Received != sent || c.RecvCRC != c.SentCRC {
			return fmt.Errorf("client: %+v", c)
		}
		return nil
	})
}
