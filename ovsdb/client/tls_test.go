package client

import (
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/ovsdb/ovsdbtest"
)

// secured returns a server on ssl, its endpoint, and files that fit.
func secured(t *testing.T, change func(*x509.Certificate)) (*ovsdbtest.Authority, string, TLS) {
	t.Helper()
	a := ovsdbtest.NewAuthority(t)
	s := ovsdbtest.New(t, ovsdbtest.OpenVSwitch)
	a.Serve(s, change)
	s.Start()
	s.VSCtl("init", "--", "add-br", "br0")
	cert, key := a.Issue("client", nil)
	return a, "ssl:127.0.0.1:" + s.Listen("pssl:0:127.0.0.1"), TLS{PrivateKey: key, Certificate: cert, CACert: a.File}
}

func ssl(endpoint string, files TLS) Config {
	cfg := bridges(endpoint)
	cfg.TLS = files
	return cfg
}

func TestTLS(t *testing.T) {
	_, endpoint, files := secured(t, nil)
	_, r := run(t, ssl(endpoint, files))
	r.await("br0", hasBridge("br0"))
}

func TestTLSOverIPv6(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skipf("no IPv6: %v", err)
	}
	_ = l.Close()
	a := ovsdbtest.NewAuthority(t)
	s := ovsdbtest.New(t, ovsdbtest.OpenVSwitch)
	a.Serve(s, nil)
	s.Start()
	cert, key := a.Issue("client", nil)
	_, r := run(t, ssl("ssl:[::1]:"+s.Listen("pssl:0:[::1]"), TLS{key, cert, a.File}))
	r.await("the server", synced)
}

// What does not fit is named, and nothing is read.
func TestTLSRefusals(t *testing.T) {
	other := ovsdbtest.NewAuthority(t)
	_, endpoint, files := secured(t, nil)
	_, expired, itsFiles := secured(t, ovsdbtest.Expired)
	_, forClients, theirFiles := secured(t, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
	otherCert, otherKey := other.Issue("client", nil)
	for name, test := range map[string]struct {
		endpoint string
		files    TLS
		want     string
		is       error
	}{
		"unknown authority":       {endpoint, TLS{files.PrivateKey, files.Certificate, other.File}, other.File, nil},
		"unknown client":          {endpoint, TLS{otherKey, otherCert, files.CACert}, "tls: ", nil},
		"key of another":          {endpoint, TLS{otherKey, files.Certificate, files.CACert}, otherKey, nil},
		"no key":                  {endpoint, TLS{"/nonexistent/key", files.Certificate, files.CACert}, "private key: open /nonexistent/key", fs.ErrNotExist},
		"no certificate":          {endpoint, TLS{files.PrivateKey, "/nonexistent/cert", files.CACert}, "certificate: open /nonexistent/cert", fs.ErrNotExist},
		"no authority":            {endpoint, TLS{files.PrivateKey, files.Certificate, "/nonexistent/ca"}, "CA certificate: open /nonexistent/ca", fs.ErrNotExist},
		"key as authority":        {endpoint, TLS{files.PrivateKey, files.Certificate, files.PrivateKey}, files.PrivateKey + ": no certificate", nil},
		"expired":                 {expired, itsFiles, "expired", nil},
		"certificate for clients": {forClients, theirFiles, "incompatible key usage", nil},
		"no TLS at all":           {"ssl:" + strings.TrimPrefix(actorTCP(t), "tcp:"), files, "TLS: ", nil},
	} {
		t.Run(name, func(t *testing.T) {
			c, r := run(t, ssl(test.endpoint, test.files))
			r.await("an error", lost)
			if err := c.State().Err; !strings.Contains(err.Error(), test.want) || test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
	for _, missing := range []TLS{{}, {files.PrivateKey, files.Certificate, "none"}} {
		if _, err := New(ssl(endpoint, missing)); err == nil || !strings.Contains(err.Error(), "ssl needs") {
			t.Errorf("%+v: %v", missing, err)
		}
	}
}

// actorTCP is a server that talks no TLS.
func actorTCP(t *testing.T) string {
	s := ovsdbtest.Start(t, ovsdbtest.OpenVSwitch)
	return "tcp:127.0.0.1:" + s.Listen("ptcp:0:127.0.0.1")
}

// A certificate that is renewed while the server refuses the old one is used.
func TestRenewedCertificate(t *testing.T) {
	a, endpoint, files := secured(t, nil)
	a.Issue("client", ovsdbtest.Expired)
	_, r := run(t, ssl(endpoint, files))
	r.await("the refusal", lost)
	a.Issue("client", nil)
	r.await("br0", hasBridge("br0"))
}

// What ovs-pki makes is taken.
func TestOVSPKI(t *testing.T) {
	if _, err := exec.LookPath("ovs-pki"); err != nil {
		t.Skip("ovs-pki is not installed")
	}
	s := ovsdbtest.New(t, ovsdbtest.OpenVSwitch)
	pki := func(args ...string) {
		t.Helper()
		cmd := exec.Command("ovs-pki", append([]string{"--force", "--dir=" + s.Dir + "/pki", "--log=" + s.Dir + "/pki.log"}, args...)...)
		cmd.Dir = s.Dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("ovs-pki %v: %v\n%s", args, err, out)
		}
	}
	pki("init")
	pki("req+sign", "server", "switch")
	pki("req+sign", "client", "switch")
	authority := filepath.Join(s.Dir, "pki/switchca/cacert.pem")
	if _, err := os.Stat(authority); err != nil {
		t.Fatal(err)
	}
	file := func(name string) string { return filepath.Join(s.Dir, name) }
	s.Args = []string{"--private-key=" + file("server-privkey.pem"), "--certificate=" + file("server-cert.pem"), "--ca-cert=" + authority}
	s.Start()
	_, r := run(t, ssl("ssl:127.0.0.1:"+s.Listen("pssl:0:127.0.0.1"), TLS{file("client-privkey.pem"), file("client-cert.pem"), authority}))
	r.await("the server", synced)
}
