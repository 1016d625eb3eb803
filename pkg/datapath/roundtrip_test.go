package datapath

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestRoundTrip gives flows of all kinds to the kernel and reads them back. Needs the
// kernel's datapath.
func TestRoundTrip(t *testing.T) {
	n := newNode(t)
	n.run("", "ovs-appctl", "revalidator/pause") // it deletes flows that OVS does not know
	for _, test := range []struct {
		key, actions string
		match, does  string // match: a part
	}{
		{"tunnel(tun_id=0x7,src=192.0.2.2,dst=192.0.2.1,ttl=0/0,geneve({class=0x102,type=0x80,len=4,0x30002/0x7fffffff}),flags(-df+csum+key)),eth_type(0x0800),ipv4(frag=no)",
			"ct(zone=1,nat),recirc(119)",
			"tun_id=0x7/0xffffffffffffffff,tun_src=000000000000000000000000c0000202/000000000000000000000000ffffffff," +
				"tun_dst=000000000000000000000000c0000201/000000000000000000000000ffffffff options 0102800100030002/ffffff1f7fffffff",
			"ct(zone=1,nat),recirc(0x77)"},
		{"eth_type(0x88a8),vlan(vid=9,pcp=0),encap(eth_type(0x8100),vlan(vid=7,pcp=3),encap(eth_type(0x0800),ipv4(frag=no)))",
			"pop_vlan,push_vlan(tpid=0x88a8,vid=104,pcp=0),2",
			"eth_type=0x800/0xffff,vlan_tci=0x1009/0xffff,vlan_type=0x88a8/0xffff,vlan_tci1=0x7007/0xffff,vlan_type1=0x8100/0xffff", "pop_vlan,push_vlan(vid=104,pcp=0),2"},
		{"eth_type(0x0800),ipv4(ttl=64,frag=no)",
			"set(tunnel(tun_id=0x1,dst=192.0.2.2,ttl=64,tp_dst=6081,geneve({class=0x102,type=0x80,len=4,0x10003}),flags(df|csum|key)))," +
				"set(eth(src=02:00:00:00:00:07,dst=02:00:00:00:00:08)),set(ipv4(ttl=63)),2",
			"ip_frag=0x0/0xff", // and no TTL
			"set(tunnel(any->192.0.2.2 vni 1 options 0102800100010003)),set(eth_src),set(eth_dst),dec_ttl(1),2"},
		{"eth_type(0x86dd),ipv6(hlimit=64,frag=no)", "set(ipv6(hlimit=63)),2", "ip_frag=0x0/0xff", "dec_ttl(1),2"},
		{"eth_type(0x0800),ipv4(src=10.0.0.0/255.0.0.0,frag=no)", "check_pkt_len(size=1400,gt(drop),le(push_vlan(vid=7,pcp=0),2))", "ip_src=0000000000000000000000000a000000/000000000000000000000000ff000000",
			"check_pkt_len(size=1400,gt(drop),le(push_vlan(vid=7,pcp=0),2))"},
	} {
		n.run("", "ovs-appctl", "dpctl/del-flows", "system@ovs-system")
		key := "recirc_id(0x1234),in_port(77),eth()," + test.key
		add := exec.Command("ovs-appctl", "dpctl/add-flow", "system@ovs-system", key, test.actions)
		add.Env = append(os.Environ(), "OVS_RUNDIR="+n.ovs.Rundir)
		if out, err := add.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", test.key, err, out)
			continue
		}
		all, err := n.conn.Flows(t.Context())
		must(t, err)
		found := false
		for _, f := range all {
			match := renderMatch(&f.Match)
			if !strings.Contains(match, "in_port=0x4d/") {
				continue
			}
			found = true
			if !strings.Contains(match, test.match) || renderActions(f.Actions) != test.does || f.Unknown != "" {
				t.Errorf("%s\n%s -> %s, unknown %q\nwant %s -> %s", test.key, match, renderActions(f.Actions), f.Unknown, test.match, test.does)
			}
		}
		if !found {
			t.Errorf("%s: not listed", test.key)
		}
	}
}
