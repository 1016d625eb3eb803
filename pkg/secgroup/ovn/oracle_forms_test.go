package ovn_test

// forms are the commands that make, beside tiers and actions, all that newer OVN writes
// into Logical_Flow for an ACL.
var forms = [][]string{
	{"--label=1234", "--type=port-group", "acl-add", "pg_0", "to-lport", "71", "outport == @pg_0 && ip6", "allow-related"},
	{"--log", "--name=reg8[17] = 1; ", "--severity=info", "--type=port-group", "acl-add", "pg_0", "to-lport", "81", "outport == @pg_0 && udp", "allow-related"},
	{"--log", "--name=loud", "--type=port-group", "acl-add", "pg_0", "to-lport", "92", "outport == @pg_0 && sctp", "drop"},
	{"--id=@c", "create", "Sample_Collector", "name=c", "probability=65535", "set_id=10", "id=1", "--",
		"--id=@s", "create", "Sample", "collectors=@c", "metadata=4242", "--",
		"--id=@a", "create", "ACL", "direction=to-lport", "priority=101", "action=allow-related", `match="outport == @pg_1 && tcp"`,
		"sample_new=@s", "sample_est=@s", "name=keep", "--", "add", "Port_Group", "pg_1", "acls", "@a"},
	{"set", "ACL", "keep", "options:persist-established=true"},
	{"--id=@a", "create", "ACL", "direction=from-lport", "priority=112", "action=drop", `match="inport == @pg_1 && tcp.dst == 443"`,
		"options:apply-after-lb=true", "--", "add", "Port_Group", "pg_1", "acls", "@a"},
}

// closed are those after which what no ACL matches is denied.
var closed = [][]string{
	{"acl-add", "sw0", "from-lport", "1", "tcp", "allow-related"},
	{"--apply-after-lb", "acl-add", "sw0", "from-lport", "1", "ip", "allow-related"},
	{"acl-add", "sw0", "to-lport", "1", "ip4", "allow-related"},
	{"set", "NB_Global", ".", "options:default_acl_drop=true"},
}
