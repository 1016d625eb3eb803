package policy

// Shipped are the policies that a new database starts with. Between their priorities there
// is room for an operator's own; 0 to 999 stay free for what comes after all of them.
//
//   - media: packets that must not wait. Few, regular, and nothing that an inspector of
//     content gets anything from: RTP by the code points that RFC 4594 gives voice and video
//     (EF, AF4x), and the ports of RTSP, RTMP and STUN/TURN (IANA). They need not be large.
//   - backup: storage and backup on their well-known ports, once they have moved something.
//   - encrypted: what nobody can look into, see Uninspectable, once it is an elephant.
//   - elephants: everything else that is one.
//
// A group that matches twice is the first one's. The thresholds of elephants are those of the
// agent without policies.
func Shipped() []Spec {
	return []Spec{
		{
			Name: "media-dscp", Priority: 4000, Verdict: "offload",
			Protocols: []string{"udp"}, DSCP: []int{46, 34, 36, 38},
			ElephantAge: 2, InspectPackets: packets(10),
		}, {
			Name: "media", Priority: 3900, Verdict: "offload",
			Protocols: []string{"tcp", "udp"}, DstPorts: []string{"554", "1935", "3478-3481", "5004-5005", "5349", "8554"},
			ElephantAge: 2, ElephantRate: 12_500, InspectPackets: packets(10),
		}, {
			Name: "backup", Priority: 3000, Verdict: "offload",
			Protocols:     []string{"tcp"},
			DstPorts:      []string{"873", "2049", "3260", "3300", "6789", "6800-7300", "9101-9103", "10809"},
			ElephantBytes: 256 << 10, InspectPackets: packets(10),
		}, {
			Name: "encrypted", Priority: 2000, Verdict: "offload",
			Applications:  []string{Uninspectable},
			ElephantBytes: 256 << 10, ElephantRate: 62_500, InspectPackets: packets(10),
		}, {
			Name: "elephants", Priority: 1000, Verdict: "offload",
			ElephantBytes: 1 << 20, ElephantRate: 125_000, InspectPackets: packets(10),
		},
	}
}

func packets(n int) *int { return &n }
