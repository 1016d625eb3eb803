package ovsdbtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority issues certificates.
type Authority struct {
	File string // its own certificate, PEM

	t    testing.TB
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority makes an authority whose files are gone at the end of the test.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{t: t, dir: TempDir(t)}
	a.key = a.newKey()
	template := x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority of a test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &a.key.PublicKey, a.key)
	a.must(err)
	a.cert, err = x509.ParseCertificate(der)
	a.must(err)
	a.File = a.write("ca.pem", "CERTIFICATE", der)
	return a
}

// Issue writes a certificate and its key and returns their paths. Like those that ovs-pki
// makes it has no name of a host. change may be nil.
func (a *Authority) Issue(name string, change func(*x509.Certificate)) (cert, key string) {
	a.t.Helper()
	private := a.newKey()
	template := x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name + " id:1234"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	if change != nil {
		change(&template)
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, a.cert, &private.PublicKey, a.key)
	a.must(err)
	keyDER, err := x509.MarshalECPrivateKey(private)
	a.must(err)
	return a.write(name+"-cert.pem", "CERTIFICATE", der), a.write(name+"-privkey.pem", "EC PRIVATE KEY", keyDER)
}

// Expired makes a certificate one of the past.
func Expired(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }

// Serve has a server use a certificate of the authority, from its next Start on.
func (a *Authority) Serve(s *Server, change func(*x509.Certificate)) {
	a.t.Helper()
	cert, key := a.Issue("server", change)
	s.Args = []string{"--private-key=" + key, "--certificate=" + cert, "--ca-cert=" + a.File}
}

func (a *Authority) newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	a.must(err)
	return key
}

func (a *Authority) write(name, kind string, der []byte) string {
	path := filepath.Join(a.dir, name)
	a.must(os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	return path
}

func (a *Authority) must(err error) {
	if err != nil {
		a.t.Helper()
		a.t.Fatal(err)
	}
}
