package ovn

import (
	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// meaning is what a symbol is about, as far as it matters here.
type meaning uint8

const (
	unheardOf meaning = iota // no symbol of OVN that is known here
	opaque                   // known, but nothing that a connection's first tuple tells
	fixed                    // bits of it have the same value in every packet that is judged
	tierOf                   // the tier that is being evaluated, in its two highest bits
	inport
	outport
	etherType
	ipProto
	srcAddr
	dstAddr
	srcPort // or the type of ICMP
	dstPort // or the code of ICMP
	predicate
	virtualMAC // eth.src and eth.dst
)

// symbol is a field or a predicate of OVN's lib/logical-fields.c. What it implies
// (its prerequisites) is family and proto.
type symbol struct {
	name    string
	width   int  // in bits; 0: a string
	nominal bool // it can be tested for equality only
	meaning meaning
	family  secgroup.Family // implied
	proto   flows.Proto
	layer4  bool   // proto is implied
	mask    number // of fixed: the bits that are known
	value   number // and what they are
	// predicate is what the symbol stands for.
	predicate expr
}

func (s *symbol) known() bool { return s.meaning != unheardOf }

// symbolTable is the symbols by name.
type symbolTable map[string]*symbol

// symbols are those of every OVN from 22.03 on.
var symbols = makeSymbols()

func makeSymbols() symbolTable {
	t := symbolTable{}
	t.add(symbol{name: "inport", nominal: true, meaning: inport})
	t.add(symbol{name: "outport", nominal: true, meaning: outport})
	t.addRegisters()
	t.addState()
	t.addEthernet()
	t.addIP()
	t.addICMP()
	t.addLayer4()
	return t
}

// lookup returns a symbol that is unheard of for a name that is unknown.
func (t symbolTable) lookup(name string) *symbol {
	if s, ok := t[name]; ok {
		return s
	}
	return &symbol{name: name, width: 128}
}

func (t symbolTable) add(s symbol) { t[s.name] = &s }

// opaque adds symbols that nothing is known of but their width.
func (t symbolTable) opaque(nominal bool, width int, names ...string) {
	for _, name := range names {
		t.add(symbol{name: name, width: width, meaning: opaque, nominal: nominal})
	}
}

// fix adds a symbol of which the bits in mask are known.
func (t symbolTable) fix(name string, width int, mask, value uint64) {
	t.add(symbol{name: name, width: width, meaning: fixed, mask: small(mask), value: small(value)})
}

// define adds a predicate. It is nominal where it tests a nominal field.
func (t symbolTable) define(nominal bool, name, text string) {
	e, err := parseWith(t, text)
	if err != nil {
		panic(name + ": " + err.Error()) // our own table
	}
	t.add(symbol{name: name, width: 1, nominal: nominal, meaning: predicate, predicate: e})
}
