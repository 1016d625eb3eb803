package main

import (
	"encoding/binary"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// shift is what a renumbering inspector adds to the sequence numbers of one port's
// connections: one that no window hides.
const shift = 0x5a5a5a5a

// renumber plays an inspector between two devices: it hands on every frame, but to what goes
// to one TCP port it gives other sequence numbers, as a proxy or a firewall that makes up its
// own does. It ends when stdin does.
func renumber(devices [2]string, port uint16) error {
	var sockets [2]int
	for i, name := range devices {
		var err error
		if sockets[i], err = packets(name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for i := range sockets {
		go pass(sockets[i], sockets[1-i], i == 0, port)
	}
	return nil
}

// packets opens what receives and sends all frames of a device.
func packets(name string) (int, error) {
	dev, err := net.InterfaceByName(name)
	if err != nil {
		return 0, err
	}
	const all = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, all)
	if err != nil {
		return 0, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
		return 0, err
	}
	promiscuous := unix.PacketMreq{Ifindex: int32(dev.Index), Type: unix.PACKET_MR_PROMISC}
	if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &promiscuous); err != nil {
		return 0, err
	}
	return fd, unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: dev.Index})
}

// pass hands on what one device receives to the other. At the one the clients are.
func pass(in, out int, client bool, port uint16) {
	frame := make([]byte, 1<<16)
	for {
		n, err := unix.Read(in, frame)
		if err != nil {
			continue // the device is down for a while
		}
		change(frame[:n], client, port)
		_, _ = unix.Write(out, frame[:n])
	}
}

// change renumbers a TCP segment over IPv4 of a connection to port: what its client sends has
// greater numbers behind the inspector, and what acknowledges it smaller ones before it.
func change(frame []byte, client bool, port uint16) {
	const ethernet, least = 14, 14 + 20 + 20
	if len(frame) < least || binary.BigEndian.Uint16(frame[12:]) != unix.ETH_P_IP || frame[ethernet+9] != unix.IPPROTO_TCP {
		return
	}
	header := int(frame[ethernet]&0xf) * 4
	if len(frame) < ethernet+header+20 {
		return
	}
	tcp := frame[ethernet+header:]
	at, by, end := 4, uint32(shift), tcp[2:]
	if !client {
		at, by, end = 8, ^uint32(shift)+1, tcp[0:]
	}
	if binary.BigEndian.Uint16(end) != port || !client && tcp[13]&0x10 == 0 {
		return
	}
	old := binary.BigEndian.Uint32(tcp[at:])
	binary.BigEndian.PutUint32(tcp[at:], old+by)
	binary.BigEndian.PutUint16(tcp[16:], checksum(binary.BigEndian.Uint16(tcp[16:]), old, old+by))
}

// checksum returns what a checksum becomes when four bytes that it is about change (RFC 1624,
// equation 3).
func checksum(sum uint16, from, to uint32) uint16 {
	n := uint32(^sum)
	for _, word := range [...]uint32{^from >> 16, ^from & 0xffff, to >> 16, to & 0xffff} {
		n += word & 0xffff
	}
	for n > 0xffff {
		n = n>>16 + n&0xffff
	}
	return ^uint16(n)
}
