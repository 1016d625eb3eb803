package policy

import (
	"slices"

	"github.com/flowshunt/flowshunt/flows"
)

// Uninspectable is the application, in a policy, of all connections that are encrypted by
// one of Encrypted and that no decryption profile covers.
const Uninspectable = "uninspectable"

// Encrypted are the applications whose content nobody sees without the keys. IPsec is known
// by its protocol where that is ESP or AH; IKE and ESP within UDP (ports 500 and 4500, RFC
// 3948) are recognized by their first packets, as all others.
var Encrypted = []string{"dtls", "ipsec", "openvpn", "quic", "ssh", "tls", "wireguard"}

// named are those of Encrypted whose clients can say which server they want (RFC 6066,
// section 3).
var named = []string{"dtls", "quic", "tls"}

// content is what is known of a connection's content. ESP and AH show by their protocol all
// that they ever will.
func content(s *flows.Subject) flows.Content {
	if p := s.Tuple.Proto; p == flows.ESP || p == flows.AH {
		return flows.Content{Known: true, Application: "ipsec"}
	}
	return s.Content
}

// isEncrypted reports whether nobody sees the content, and whether a server name can be
// known of it.
func isEncrypted(application string) (encrypted, hasName bool) {
	return slices.Contains(Encrypted, application), slices.Contains(named, application)
}
