package ofproto

// The pipelines of the cases. Packets to port N of the destination address 10.0.N.2
// take table N.
const br0Groups = `
group_id=1,type=all,bucket=bucket_id:1,actions=output:2,bucket=bucket_id:2,actions=output:3
group_id=2,type=select,selection_method=hash,fields=ip_src,bucket=bucket_id:1,actions=output:2
group_id=3,type=select,selection_method=dp_hash,bucket=bucket_id:1,actions=output:2,bucket=bucket_id:2,actions=output:3
`

const br0Flows = `
table=0,ip,actions=resubmit(,1)
table=0,priority=40000,ipv6,ipv6_dst=fd00::25,actions=ct(table=48,zone=10)
table=0,ipv6,actions=ct(table=2,zone=10)
table=1,priority=9,ip,nw_dst=10.0.1.0/24,actions=ct(table=2,zone=10)
table=1,priority=9,ip,nw_dst=10.0.2.0/24,actions=output:2,output:3
table=1,priority=9,ip,nw_dst=10.0.3.0/24,actions=mod_dl_dst:02:00:00:00:00:09,dec_ttl,output:4
table=1,priority=9,ip,nw_dst=10.0.4.0/24,actions=output:4
table=1,priority=9,ip,nw_dst=10.0.5.0/24,actions=load:1->NXM_NX_REG0[],load:7->NXM_NX_REG13[0..15],move:NXM_NX_REG0[]->NXM_NX_REG1[],push:NXM_NX_REG0[],pop:NXM_NX_REG2[],set_field:5->metadata,load:0xffff->NXM_OF_IN_PORT[],resubmit(,20)
table=1,priority=9,ip,nw_dst=10.0.6.0/24,actions=group:1
table=1,priority=9,ip,nw_dst=10.0.7.0/24,actions=group:2
table=1,priority=9,ip,nw_dst=10.0.8.0/24,actions=learn(table=30,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[]),output:2
table=1,priority=9,ip,nw_dst=10.0.9.0/24,actions=controller,output:2
table=1,priority=9,ip,nw_dst=10.0.10.0/24,actions=resubmit(,40)
table=1,priority=9,ip,nw_dst=10.0.11.0/24,actions=set_field:0x77->tun_id,set_field:192.0.2.1->tun_dst,output:5
table=1,priority=9,ip,nw_dst=10.0.12.0/24,actions=resubmit(,41)
table=1,priority=9,ip,nw_dst=10.0.13.0/24,actions=ct(commit,zone=10,nat(src=192.0.2.1),table=42)
table=1,priority=9,ip,nw_dst=10.0.14.0/24,actions=ct(zone=1,table=50)
table=1,priority=9,ip,nw_dst=10.0.15.0/24,actions=push_vlan:0x8100,set_field:4103->vlan_vid,output:2
table=1,priority=9,ip,nw_dst=10.0.16.0/24,actions=clone(ct(table=2,zone=12)),output:3
table=1,priority=9,ip,nw_dst=10.0.17.0/24,actions=check_pkt_larger(1400)->NXM_NX_REG0[0],resubmit(,43)
table=1,priority=9,ip,nw_dst=10.0.18.0/24,actions=ct(zone=10,table=44)
table=1,priority=9,ip,nw_dst=10.0.19.0/24,actions=write_actions(output:2),goto_table:45
table=1,priority=9,ip,nw_dst=10.0.20.0/24,actions=resubmit(,46)
table=1,priority=9,ip,nw_dst=10.0.21.0/24,actions=ct_clear,ct(zone=10,table=47)
table=1,priority=9,ip,nw_dst=10.0.22.0/24,actions=output:99
table=1,priority=9,ip,nw_dst=10.0.23.0/24,actions=output(port=2,max_len=100)
table=1,priority=9,ip,nw_dst=10.0.24.0/24,actions=conjunction(5,1/2)
table=1,priority=9,ip,nw_src=10.0.0.0/16,actions=conjunction(5,2/2)
table=1,priority=9,conj_id=5,ip,actions=ct(table=2,zone=10)
table=1,priority=9,ip,nw_dst=10.0.25.0/24,actions=ct(table=48,zone=10)
table=1,priority=9,ip,nw_dst=10.0.26.0/24,actions=group:3
table=1,priority=9,ip,nw_dst=10.0.27.0/24,actions=move:NXM_OF_ETH_DST[]->NXM_OF_ETH_SRC[],output:2
table=1,priority=9,ip,nw_dst=10.0.28.0/24,actions=resubmit(,49)
table=2,ct_state=+trk+est,ct_mark=0/1,ct_label=0/0x10000000000000001,actions=resubmit(,3)
table=2,ct_state=+trk+est,ct_mark=1/1,actions=drop
table=3,tcp,tp_dst=80/0xfff0,actions=output:2
table=3,tcp6,tp_dst=80,ipv6_src=fd00::/64,actions=output:2
table=3,udp,actions=output:2
table=3,udp6,actions=output:2
table=3,sctp,actions=output:2
table=3,ip,nw_proto=50,actions=output:2
table=3,ip,nw_proto=51,actions=output:2
table=3,ip,nw_proto=47,actions=output:2
table=3,ipv6,nw_proto=50,actions=output:2
table=20,ip,reg1=1,reg2=1,metadata=5,actions=ct(table=21,zone=NXM_NX_REG13[0..15])
table=21,ip,reg13=7,ct_state=+est-rpl-inv,actions=load:2->NXM_NX_REG15[],output:NXM_NX_REG15[]
table=40,actions=resubmit(,40)
table=41,actions=resubmit(7,3)
table=42,actions=output:2
table=43,reg0=1/1,actions=drop
table=43,reg0=0/1,actions=output:2
table=44,ip,ct_state=+trk,actions=ct(commit,zone=10,exec(load:3->NXM_NX_CT_MARK[0..3])),ct(commit,force,zone=10),output:2
table=45,actions=set_field:1->reg0
table=46,tcp,tcp_flags=+ack-syn,nw_ttl=64,nw_tos=0,dl_src=02:00:00:00:00:00/ff:ff:00:00:00:00,actions=output:2
table=47,ip,ct_state=+trk,actions=ct_clear,output:2
table=48,ip,ct_state=+est,ct_nw_src=10.0.0.1,ct_nw_proto=6,ct_tp_dst=80,actions=output:2
table=48,priority=40000,ip,ct_state=+est+rpl,ct_nw_src=10.0.25.2,ct_nw_dst=10.0.0.1,actions=output:3
table=48,priority=40000,ipv6,ct_state=+est-rpl,ct_ipv6_src=fd00::1,ct_nw_proto=6,ct_tp_src=80,actions=output:2
table=48,priority=1,actions=drop
table=49,priority=2,tun_id=7,tun_src=192.0.2.0/24,in_port=1,actions=drop
table=49,priority=1,ip,actions=output:2
` + deep

// 13 passes through conntrack: zone N goes on in table 50+N.
const deep = `
table=50,ip,actions=ct(zone=2,table=51)
table=51,ip,actions=ct(zone=3,table=52)
table=52,ip,actions=ct(zone=4,table=53)
table=53,ip,actions=ct(zone=5,table=54)
table=54,ip,actions=ct(zone=6,table=55)
table=55,ip,actions=ct(zone=7,table=56)
table=56,ip,actions=ct(zone=8,table=57)
table=57,ip,actions=ct(zone=9,table=58)
table=58,ip,actions=ct(zone=10,table=59)
table=59,ip,actions=ct(zone=11,table=60)
table=60,ip,actions=ct(zone=12,table=61)
table=61,ip,actions=ct(zone=13,table=62)
`

const br1Flows = `
table=0,ip,actions=ct(zone=11,table=2)
table=2,ip,ct_state=+est,actions=resubmit(,3)
table=3,in_port=1,actions=output:2
`
