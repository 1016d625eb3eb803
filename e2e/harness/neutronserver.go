package harness

import (
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"text/template"
	"time"
)

// NeutronDir is where hack/neutron unpacked Debian's neutron-server: $FLOWSHUNT_NEUTRON,
// or build/neutron of the repository. Empty: nowhere.
func NeutronDir() string {
	dirs := []string{os.Getenv("FLOWSHUNT_NEUTRON")}
	if dirs[0] == "" {
		dirs = []string{"../build/neutron", "../../build/neutron"} // from e2e, from here
	}
	for _, dir := range dirs {
		if abs, err := filepath.Abs(dir); err == nil {
			if _, err := os.Stat(filepath.Join(abs, "complete")); err == nil {
				return abs
			}
		}
	}
	return ""
}

// NeutronServer is OpenStack's network service, a real one, with the mechanism driver ML2/OVN:
// who asks it is an administrator, and it writes what it is asked for to the
// Northbound database.
type NeutronServer struct {
	*Process
	t    testing.TB
	url  string
	http *http.Client
}

// neutronConf is the server's configuration; what it leaves out has its default.
//
//go:embed neutron.conf
var neutronConf string

//go:embed neutron.py
var neutronMain []byte

// StartNeutronServer starts a server whose files are in dir on the databases of an OVN
// ("unix:" and a path), and waits until it answers, for as long as an emulated processor
// takes. It listens on the loopback device of the test's own network namespace.
func StartNeutronServer(t testing.TB, dir, nb, sb string) *NeutronServer {
	t.Helper()
	unpacked := NeutronDir()
	if unpacked == "" {
		missing(t, "neutron-server (hack/neutron; or set FLOWSHUNT_NEUTRON)")
	}
	began := time.Now()
	dir = filepath.Join(dir, "neutron")
	address, conf := freeAddress(t), filepath.Join(dir, "neutron.conf")
	configureNeutron(t, conf, map[string]string{
		"Unpacked": unpacked, "Dir": dir, "NB": nb, "SB": sb, "Port": address[strings.LastIndex(address, ":")+1:],
	})
	copyFile(t, filepath.Join(unpacked, "empty.sqlite"), filepath.Join(dir, "neutron.sqlite"))
	program := filepath.Join(dir, "neutron-server")
	if err := os.WriteFile(program, neutronMain, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/usr/bin/python3", "-W", "ignore", program, "--config-file", conf)
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + dir, "LANG=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1",
		"PYTHONPATH=" + filepath.Join(unpacked, "usr/lib/python3/dist-packages"),
	}
	p, err := startProcess(cmd)
	if err != nil {
		t.Fatal(err)
	}
	s := &NeutronServer{Process: p, t: t, url: "http://" + address + "/v2.0/", http: &http.Client{Timeout: neutronLimit}}
	t.Cleanup(func() {
		s.http.CloseIdleConnections()
		s.Stop()
		if t.Failed() {
			t.Logf("neutron-server:\n%s", tail(s.Output()))
		}
	})
	Within(t, neutronLimit, "neutron-server answers", func() error {
		if !s.Running() {
			t.Fatalf("neutron-server has ended:\n%s", tail(s.Output()))
		}
		return s.call(http.MethodGet, "networks", nil, nil)
	})
	t.Logf("neutron-server started in %v", time.Since(began).Round(time.Millisecond))
	return s
}

// neutronLimit is for its start, and for an answer: minutes where Python is emulated.
const neutronLimit = 8 * time.Minute

// missing skips a test that lacks something, or fails it if Must.
func missing(t testing.TB, what string) {
	t.Helper()
	if Must() {
		t.Fatalf("missing: %s", what)
	}
	t.Skipf("missing: %s", what)
}

func configureNeutron(t testing.TB, file string, values map[string]string) {
	t.Helper()
	// an empty folder of policies: told of none, the server reads all of dir as policies
	if err := os.MkdirAll(filepath.Join(filepath.Dir(file), "policy"), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(file)
	if err == nil {
		err = errors.Join(template.Must(template.New("neutron.conf").Option("missingkey=error").Parse(neutronConf)).Execute(f, values), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// freeAddress is an address of the loopback device that nobody listens on.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o600)
	}
	if err != nil {
		t.Fatal(fmt.Errorf("%w (remove it and run hack/neutron again)", err))
	}
}
