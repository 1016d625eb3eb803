package metrics

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority signs certificates of tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.key = newKey(t)
	a.cert, a.pem = sign(t, template, template, &a.key.PublicKey, a.key)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t *testing.T, template, parent *x509.Certificate, public *ecdsa.PublicKey, by *ecdsa.PrivateKey) (*x509.Certificate, []byte) {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// issue returns a certificate with its key, both PEM.
func (a *authority) issue(t *testing.T, name string) (cert, key []byte) {
	t.Helper()
	k := newKey(t)
	_, cert = sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert, &k.PublicKey, a.key)
	der, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return cert, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
}

// written is when a test last wrote a file.
var written = time.Now()

func write(t *testing.T, name string, text []byte) string {
	t.Helper()
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	// Two writes within one tick of the kernel would have the same time.
	written = written.Add(time.Second)
	if err := os.Chtimes(name, written, written); err != nil {
		t.Fatal(err)
	}
	return name
}

// newTLS returns the configuration of a server that is "first" by its certificate.
func newTLS(t *testing.T, a *authority) Config {
	t.Helper()
	dir := t.TempDir()
	cert, key := a.issue(t, "first")
	return Config{Cert: write(t, filepath.Join(dir, "cert"), cert), Key: write(t, filepath.Join(dir, "key"), key)}
}

// as gives the client a certificate, or none, and makes it begin anew.
func (s *serving) as(t *testing.T, roots *authority, cert, key []byte) {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(roots.cert)
	cfg := &tls.Config{RootCAs: pool}
	if cert != nil {
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	s.client.CloseIdleConnections()
	s.client.Transport = &http.Transport{TLSClientConfig: cfg, DisableKeepAlives: true}
	s.url = strings.Replace(s.url, "http:", "https:", 1)
}

// peer asks for /healthz and returns the name that the server's certificate has.
func (s *serving) peer(t *testing.T) (string, error) {
	t.Helper()
	resp, err := s.client.Get(s.url + "/healthz")
	if err != nil {
		return "", err
	}
	resp.Body.Close()
	return resp.TLS.PeerCertificates[0].Subject.CommonName, nil
}

func TestTLS(t *testing.T) {
	a := newAuthority(t, "ca")
	s := serve(t, newTLS(t, a), nil)
	plain, err := s.client.Get(s.url + "/metrics")
	if err == nil {
		plain.Body.Close()
		if plain.StatusCode != http.StatusBadRequest {
			t.Errorf("plain HTTP: %s", plain.Status)
		}
	}
	s.as(t, a, nil, nil)
	if name, err := s.peer(t); err != nil || name != "first" {
		t.Errorf("%q, %v", name, err)
	}
}

func TestClientCertificate(t *testing.T) {
	a, other := newAuthority(t, "ca"), newAuthority(t, "other")
	cfg := newTLS(t, a)
	cfg.ClientCA = write(t, cfg.Cert+".ca", a.pem)
	s := serve(t, cfg, nil)
	s.as(t, a, nil, nil)
	if _, err := s.peer(t); err == nil {
		t.Error("a client without a certificate was let in")
	}
	cert, key := other.issue(t, "stranger")
	s.as(t, a, cert, key)
	if _, err := s.peer(t); err == nil {
		t.Error("a stranger was let in")
	}
	cert, key = a.issue(t, "prometheus")
	s.as(t, a, cert, key)
	if _, err := s.peer(t); err != nil {
		t.Error(err)
	}

	// Those whom nobody vouches for any more are not let in again.
	write(t, cfg.ClientCA, other.pem)
	if _, err := s.peer(t); err == nil {
		t.Error("let in by an authority that was taken away")
	}
}

func TestCertificateIsReplaced(t *testing.T) {
	a := newAuthority(t, "ca")
	cfg := newTLS(t, a)
	noted := make(chan error, 10)
	s := serve(t, cfg, func(err error) { noted <- err })
	s.as(t, a, nil, nil)

	cert, key := a.issue(t, "second")
	write(t, cfg.Cert, cert) // without its key
	if name, err := s.peer(t); err != nil || name != "first" {
		t.Errorf("between certificate and key: %q, %v", name, err)
	}
	if len(noted) != 1 {
		t.Errorf("%d complaints, want 1", len(noted))
	}
	write(t, cfg.Key, key)
	if name, err := s.peer(t); err != nil || name != "second" {
		t.Errorf("after the change: %q, %v", name, err)
	}
	if err := os.Remove(cfg.Cert); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if name, err := s.peer(t); err != nil || name != "second" {
			t.Errorf("without files: %q, %v", name, err)
		}
	}
	if len(noted) != 2 {
		t.Errorf("%d complaints, want 2: one for each change", len(noted))
	}
}

func TestBadCertificates(t *testing.T) {
	a := newAuthority(t, "ca")
	good := newTLS(t, a)
	dir := t.TempDir()
	junk := write(t, filepath.Join(dir, "junk"), []byte("junk"))
	long := write(t, filepath.Join(dir, "long"), make([]byte, maxFile+1))
	for _, tt := range []struct {
		cfg  Config
		want string
	}{
		{Config{Cert: filepath.Join(dir, "none"), Key: good.Key}, "none"},
		{Config{Cert: junk, Key: good.Key}, "junk"},
		{Config{Cert: good.Cert, Key: long}, "too long"},
		{Config{Cert: good.Cert, Key: good.Key, ClientCA: junk}, "no certificate"},
	} {
		tt.cfg.Listen = "127.0.0.1:0"
		l, err := Listen(t.Context(), tt.cfg, nil)
		if err == nil {
			l.Close()
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %q", tt.cfg, err, tt.want)
		}
	}
}
