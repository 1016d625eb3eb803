package client

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
)

// TLS names the files of a connection with certificates, all PEM, as ovs-vsctl set-ssl takes
// them. They are read anew for each connection, so that renewed ones are used. The zero value
// is for remotes that are not ssl.
type TLS struct {
	PrivateKey  string // of the certificate
	Certificate string // of this client, with the certificates between it and its authority, if any
	CACert      string // the authorities of servers
}

// Or returns t with those files of other that t does not name.
func (t TLS) Or(other TLS) TLS {
	return TLS{
		PrivateKey:  cmp.Or(t.PrivateKey, other.PrivateKey),
		Certificate: cmp.Or(t.Certificate, other.Certificate),
		CACert:      cmp.Or(t.CACert, other.CACert),
	}
}

func (t TLS) check() error {
	for _, file := range []struct{ what, path string }{
		{"private key", t.PrivateKey}, {"certificate", t.Certificate}, {"CA certificate", t.CACert},
	} {
		if file.path == "" || file.path == "none" {
			return fmt.Errorf("ssl needs a %s file", file.what)
		}
	}
	return nil
}

// secure makes a TLS connection of a plain one.
//
// The server's certificate must come from one of the authorities, and be in its time, and be
// one for servers if it says what for. Its names are not compared with the address: Open
// vSwitch does not either (lib/stream-ssl.c sets SSL_VERIFY_PEER and no name to expect), and
// the certificates that ovs-pki and the deployment tools make have no names that would fit.
// So any holder of a server's certificate of that authority can play any server.
func (t TLS) secure(ctx context.Context, conn net.Conn, address string) (net.Conn, error) {
	cert, err := t.pair()
	if err != nil {
		return nil, err
	}
	authorities, err := t.authorities()
	if err != nil {
		return nil, err
	}
	host, _, _ := net.SplitHostPort(address)
	secured := tls.Client(conn, &tls.Config{
		MinVersion:         tls.VersionTLS12,
		Certificates:       []tls.Certificate{cert},
		ServerName:         host,
		InsecureSkipVerify: true, // of the name; verify does the rest
		VerifyConnection:   func(s tls.ConnectionState) error { return verify(s, authorities, t.CACert) },
	})
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return secured, nil
}

func (t TLS) pair() (tls.Certificate, error) {
	cert, err := os.ReadFile(t.Certificate)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate: %w", err)
	}
	key, err := os.ReadFile(t.PrivateKey)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("private key: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate %s with private key %s: %w", t.Certificate, t.PrivateKey, err)
	}
	return pair, nil
}

func (t TLS) authorities() (*x509.CertPool, error) {
	data, err := os.ReadFile(t.CACert)
	if err != nil {
		return nil, fmt.Errorf("CA certificate: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("CA certificate %s: no certificate in it", t.CACert)
	}
	return pool, nil
}

func verify(s tls.ConnectionState, authorities *x509.CertPool, file string) error {
	if len(s.PeerCertificates) == 0 {
		return errors.New("the server has no certificate")
	}
	between := x509.NewCertPool()
	for _, cert := range s.PeerCertificates[1:] {
		between.AddCert(cert)
	}
	if _, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: authorities, Intermediates: between}); err != nil {
		return fmt.Errorf("the server's certificate, checked with %s: %w", file, err)
	}
	return nil
}
