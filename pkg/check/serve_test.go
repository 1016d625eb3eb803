package check

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/flowshunt/flowshunt/pkg/unixctl"
)

// serve is an ovs-vswitchd that answers everything with one text.
func serve(t *testing.T, text string) *unixctl.Client {
	t.Helper()
	dir := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, "ovs-vswitchd.7.ctl"))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			b, _ := json.Marshal(map[string]any{"id": 1, "result": text, "error": nil})
			_, _ = conn.Write(b)
			conn.Close()
		}
	}()
	if err := os.WriteFile(filepath.Join(dir, "ovs-vswitchd.pid"), []byte("7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return &unixctl.Client{Rundir: dir, Timeout: patience}
}
