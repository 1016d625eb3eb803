package flows

import "testing"

func TestEntryNAT(t *testing.T) {
	tuple, err := ParseTuple("tcp,10.0.0.1:40000,10.0.0.2:5201")
	if err != nil {
		t.Fatal(err)
	}
	e := Entry{Key: EntryKey{Tuple: tuple}, Reply: tuple.Reverse()}
	if e.HasNAT() {
		t.Error("a connection as it is seems to be translated")
	}
	e.Reply.DstPort++
	if !e.HasNAT() {
		t.Error("a translated source port goes unnoticed")
	}
}

func TestTCPStates(t *testing.T) {
	closing := map[TCPState]bool{TCPFinWait: true, TCPCloseWait: true, TCPLastAck: true, TCPTimeWait: true, TCPClose: true}
	for s := TCPNone; s <= TCPSynSent2; s++ {
		if s.Closing() != closing[s] {
			t.Errorf("%s: closing %v", s, s.Closing())
		}
		if s.String() == "UNKNOWN" {
			t.Errorf("state %d has no name", s)
		}
	}
	if got := TCPState(99).String(); got != "UNKNOWN" {
		t.Errorf("state 99 is %q", got)
	}
}

func TestMAC(t *testing.T) {
	m, err := ParseMAC("FA:16:3e:00:00:01")
	if err != nil || m.String() != "fa:16:3e:00:00:01" || !m.IsUnicast() {
		t.Errorf("%v, %v", m, err)
	}
	for _, bad := range []string{"", "fa:16:3e:00:00", "02:00:5e:10:00:00:00:01", "x"} {
		if _, err := ParseMAC(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	for _, s := range []string{"01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00"} {
		if m, err := ParseMAC(s); err != nil || m.IsUnicast() {
			t.Errorf("%s: %v, unicast %v", s, err, m.IsUnicast())
		}
	}
}
