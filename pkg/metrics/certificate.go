package metrics

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// maxFile bounds a certificate or key file.
const maxFile = 1 << 20

// certificates are the files of a TLS server. They are read again when one of them
// has changed, so that nobody has to tell the agent of a new certificate.
type certificates struct {
	cfg  Config
	note func(error) // told when new files are of no use

	mu     sync.Mutex
	stamps [3]stamp // of the files when they were last read, useful or not
	now    *tls.Config
}

// stamp tells a file from what it was before.
type stamp struct {
	modified time.Time
	size     int64
}

// open reads the files for the first time.
func (c *certificates) open() error {
	c.stamps = c.look()
	var err error
	c.now, err = load(c.cfg)
	return err
}

// server is the configuration of a listener.
func (c *certificates) server() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return c.current(), nil
	}}
}

// current returns the configuration by the files as they are. As long as they make
// none, as between the writing of a certificate and of its key, the last one stays.
func (c *certificates) current() *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	stamps := c.look()
	if stamps == c.stamps {
		return c.now
	}
	c.stamps = stamps
	fresh, err := load(c.cfg)
	if err != nil {
		c.note(fmt.Errorf("changed certificates are not used: %w", err))
		return c.now
	}
	c.now = fresh
	return fresh
}

func (c *certificates) look() (stamps [3]stamp) {
	for i, name := range [...]string{c.cfg.Cert, c.cfg.Key, c.cfg.ClientCA} {
		if info, err := os.Stat(name); err == nil {
			stamps[i] = stamp{info.ModTime(), info.Size()}
		}
	}
	return stamps
}

func load(c Config) (*tls.Config, error) {
	cert, err := read(c.Cert)
	if err != nil {
		return nil, err
	}
	key, err := read(c.Key)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %w", c.Cert, c.Key, err)
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}}
	if c.ClientCA == "" {
		return cfg, nil
	}
	roots, err := read(c.ClientCA)
	if err != nil {
		return nil, err
	}
	cfg.ClientAuth, cfg.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
	if !cfg.ClientCAs.AppendCertsFromPEM(roots) {
		return nil, fmt.Errorf("%s: no certificate in it", c.ClientCA)
	}
	return cfg, nil
}

func read(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = errors.New("too long for a certificate or a key")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return text, nil
}
