package openflow

import (
	"bufio"
	"encoding/hex"
	"flag"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var capture = flag.Bool("capture", false, "rewrite "+captured)

// TestCapture records what Open vSwitch sends while all narrowings and a port go
// by: `go test -run Capture -capture`.
func TestCapture(t *testing.T) {
	if !*capture {
		t.Skip("missing: -capture, which rewrites " + captured)
	}
	b := newBridge(t)
	var all []string
	for _, v := range []Version{OpenFlow10, OpenFlow13, OpenFlow15} {
		path, lines := spy(t, b.socket())
		r, ended := start(t, Config{Socket: path, offer: 1 << v})
		r.watching(t)
		for _, n := range narrowings {
			if strings.HasPrefix(n.match, "tun_metadata") {
				continue
			}
			b.ofctl("add-flow", "br0", "table=1,"+n.match+",actions=drop")
			r.change(t)
		}
		b.ofctl("del-flows", "br0")
		b.ofctl("mod-port", "br0", "br0", "no-forward")
		b.ofctl("mod-port", "br0", "br0", "forward")
		b.ofctl("-O", "OpenFlow15", "add-group", "br0", "group_id=1,type=all,bucket=drop")
		b.ofctl("-O", "OpenFlow15", "del-groups", "br0")
		b.settle(t, r)
		b.ofctl("del-flows", "br0")
		r.flow(t)
		b.Vsctl("set", "bridge", "br0", "protocols=OpenFlow10") // ends the connection
		b.protocols(OpenFlow10, OpenFlow11, OpenFlow12, OpenFlow13, OpenFlow14, OpenFlow15)
		<-ended
		for line := range lines {
			if !strings.HasPrefix(line, "0600") { // HELLO
				all = append(all, line)
			}
		}
	}
	if err := os.WriteFile(captured, []byte(strings.Join(all, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// spy puts a socket before the bridge's, and tells what the bridge sends by it.
func spy(t *testing.T, bridge string) (path string, lines <-chan string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "spy")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	up, err := net.Dial("unix", bridge)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { up.Close() })
	seen := make(chan string, 1000)
	go func() {
		defer close(seen)
		down, err := l.Accept()
		if err != nil {
			return
		}
		defer down.Close()
		go func() { _, _ = bufio.NewReader(down).WriteTo(up) }()
		r := bufio.NewReaderSize(up, maxMessage+1)
		for {
			_, size, err := peekMessage(r)
			if err != nil {
				return
			}
			b, _ := r.Peek(size)
			seen <- hex.EncodeToString(b)
			_, _ = down.Write(b)
			_, _ = r.Discard(size)
		}
	}()
	return path, seen
}
