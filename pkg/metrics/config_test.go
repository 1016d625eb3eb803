package metrics

import (
	"strings"
	"testing"
)

func TestConfig(t *testing.T) {
	for _, tt := range []struct {
		cfg  Config
		want string // in the error; empty: none
	}{
		{Config{}, ""},
		{Config{Listen: "127.0.0.1:9474"}, ""},
		{Config{Listen: "[::1]:9474"}, ""},
		{Config{Listen: "[::ffff:127.0.0.2]:1"}, ""},
		{Config{Listen: "0.0.0.0:9474", Insecure: true}, ""},
		{Config{Listen: "[2001:db8::1]:9474", Cert: "c", Key: "k"}, ""},
		{Config{Listen: "192.0.2.1:9474", Cert: "c", Key: "k", ClientCA: "ca"}, ""},

		{Config{Listen: "0.0.0.0:9474"}, "--metrics-insecure"},
		{Config{Listen: "[::]:9474"}, "plain text"},
		{Config{Listen: "192.0.2.1:9474"}, "192.0.2.1:9474"},
		{Config{Listen: "[::ffff:192.0.2.1]:1"}, "plain text"},
		{Config{Listen: ":9474"}, "ADDR:PORT"},
		{Config{Listen: "localhost:9474"}, "numeric"},
		{Config{Listen: "127.0.0.1"}, "ADDR:PORT"},
		{Config{Listen: "127.0.0.1:99999"}, "ADDR:PORT"},
		{Config{Listen: "127.0.0.1:1", Cert: "c"}, "both"},
		{Config{Listen: "127.0.0.1:1", Key: "k"}, "both"},
		{Config{Listen: "127.0.0.1:1", ClientCA: "ca"}, "--metrics-tls-cert"},
		{Config{Listen: "127.0.0.1:1", Cert: "c", Key: "k", Insecure: true}, "contradicts"},
		{Config{Cert: "c", Key: "k"}, "without --metrics-listen"},
	} {
		err := tt.cfg.Validate()
		if (err != nil) != (tt.want != "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %q", tt.cfg, err, tt.want)
		}
	}
}
