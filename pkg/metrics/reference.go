package metrics

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

const introduction = `<!-- Generated from the metrics themselves: go generate ./pkg/metrics/... -->

# Metrics and health

` + "`flowshuntd --metrics-listen=127.0.0.1:9474`" + ` serves three pages over HTTP, and nothing else:

| page | answer |
|---|---|
| ` + "`/metrics`" + ` | everything below, with the usual metrics of the process and the Go runtime (` + "`process_`, `go_`" + `) |
| ` + "`/healthz`" + ` | 200 while the engine turns and the kernel takes its changes; else 503 and what does not, a line each. What systemd's watchdog asks |
| ` + "`/readyz`" + ` | 200 once the database, the ports and the whole conntrack table were read, and while every component works; else 503 and why not, a line each |

Beyond loopback it wants TLS: ` + "`--metrics-tls-cert`, `--metrics-tls-key`" + ` and, so that only known clients may ask,
` + "`--metrics-tls-client-ca`" + `. The files are read again when they change. Plain text to the network needs ` + "`--metrics-insecure`" + `.

Counters begin at 0 with the agent and never go back while it runs. Series with a reason, cause or port appear with
the first of their kind; a port's disappear five minutes after the port. The reasons are those of ` + "`flowshuntctl why`" + `.

## Bytes, for those who bill by them

- OVS and conntrack do not see what the eswitch forwards: bytes of a port are OVS's own **plus**
  ` + "`flowshunt_port_offloaded_bytes_total`" + `.
- Bytes are those that the eswitch counts. tc in software leaves out the Ethernet header, and where the device merges
  packets (GRO) all headers but those of the first; many NICs count every byte of the frame. Adding 14 bytes for each
  packet of ` + "`flowshunt_port_offloaded_packets_total`" + ` corrects software without GRO; bill by what your NIC was measured to do.
- A packet counts at the port where it came in (` + "`direction=\"rx\"`" + `) and at the port where it went out (` + "`\"tx\"`" + `). Do not add the two.
- A session that ends stays counted. Not counted are its packets between the last reading of the eswitch and its end:
  up to one ` + "`--count-interval`" + ` for each session.
- What a successor takes over counts from then on: nothing is counted by two agents.
- Counters go by the name of a port and outlive its replacement under the same name. At most 8,192 ports have their own.
`

// Reference writes the reference page, in Markdown.
func Reference(w io.Writer) error {
	var b bytes.Buffer
	b.WriteString(introduction)
	for _, s := range catalogue() {
		fmt.Fprintf(&b, "\n## %s\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n", s.title)
		for _, d := range s.list {
			labels := make([]string, len(d.labels))
			for i, l := range d.labels {
				labels[i] = "`" + l + "`"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", d.name, d.typ(), strings.Join(labels, " "), d.help)
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}
