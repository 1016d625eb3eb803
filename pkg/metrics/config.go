package metrics

import (
	"errors"
	"fmt"
	"net/netip"
)

// Config says where metrics are served, and to whom. The zero value: nowhere.
type Config struct {
	Listen   string // ADDR:PORT, the address as a number; empty: nothing listens
	Cert     string // file, PEM: the server's certificate, with those between it and its root
	Key      string // file, PEM
	ClientCA string // file, PEM: clients must show a certificate that one of these has signed
	Insecure bool   // allows HTTP without TLS on an address that others can reach
}

// Validate says what is wrong with c, or nil. It does not look into the files.
func (c Config) Validate() error {
	if c.Listen == "" {
		if c != (Config{}) {
			return errors.New("certificates or --metrics-insecure have no effect without --metrics-listen")
		}
		return nil
	}
	at, err := netip.ParseAddrPort(c.Listen)
	switch {
	case err != nil:
		return fmt.Errorf("metrics address %q: want ADDR:PORT with a numeric address, as 127.0.0.1:9474 or [::]:9474", c.Listen)
	case (c.Cert == "") != (c.Key == ""):
		return errors.New("metrics over TLS need both --metrics-tls-cert and --metrics-tls-key")
	case c.ClientCA != "" && c.Cert == "":
		return errors.New("--metrics-tls-client-ca needs --metrics-tls-cert and --metrics-tls-key")
	case c.Insecure && c.Cert != "":
		return errors.New("--metrics-insecure contradicts --metrics-tls-cert: leave one of them out")
	case c.Cert == "" && !c.Insecure && !at.Addr().Unmap().IsLoopback():
		return fmt.Errorf("metrics on %s would go in plain text to whoever can reach it: give --metrics-tls-cert and --metrics-tls-key, "+
			"listen on 127.0.0.1 or [::1], or allow it by --metrics-insecure", c.Listen)
	}
	return nil
}
