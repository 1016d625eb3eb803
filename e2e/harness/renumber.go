package harness

import (
	"fmt"
	"strings"
	"time"
)

// Renumber starts an inspector between two devices of the node that gives TCP connections to
// one port other sequence numbers; clients are at the first device. It hands on everything else as it is.
func (w *World) Renumber(clients, servers string, port uint16) {
	w.T.Helper()
	w.Start(w.T, append(traffic(w.T), "renumber", "-sport", fmt.Sprint(port), clients, servers)...)
	Within(w.T, 20*time.Second, "the inspector listens", func() error {
		if out := w.Run(w.T, "ss", "-0", "-l", "-n"); strings.Count(out, clients) == 0 || strings.Count(out, servers) == 0 {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
}
