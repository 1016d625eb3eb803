package e2e

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

var probe = flag.Bool("probe", false, "only tell, by the exit status, whether stories can run on this machine")

func TestMain(m *testing.M) {
	flag.Parse()
	if *probe {
		if missing := harness.Missing(); len(missing) > 0 {
			fmt.Fprintln(os.Stderr, "this machine lacks", strings.Join(missing, ", "))
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(harness.Main(m))
}
