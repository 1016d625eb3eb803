package secgroup

import "net/netip"

// set is what a Compiler knows of a SetID: it exists for as long as it is there or rules
// name it.
type set struct {
	id      SetID
	no      setNo
	there   bool
	members map[netip.Prefix]bool
	users   map[*rule]use
}

func (c *Compiler) set(id SetID) *set {
	s := c.sets[id]
	if s == nil {
		s = &set{id: id, no: setNo(c.setNos.take()), users: make(map[*rule]use)}
		c.sets[id] = s
	}
	return s
}

// releaseSet forgets a set that is neither there nor named by a rule.
func (c *Compiler) releaseSet(s *set) {
	if !s.there && len(s.users) == 0 {
		delete(c.sets, s.id)
		c.setNos.free(uint32(s.no))
	}
}

func (c *Compiler) changeSet(id SetID, change SetChange) {
	s := c.set(id)
	defer c.releaseSet(s)
	was := s.there
	if s.there = !change.Gone; change.Gone {
		change = SetChange{Replace: true}
	}
	joined, left := s.apply(change)
	c.members += len(joined) - len(left)
	for _, p := range joined {
		c.addrs[p] = append(c.addrs[p], addressEdit{s.no, true})
	}
	for _, p := range left {
		c.addrs[p] = append(c.addrs[p], addressEdit{s.no, false})
	}
	switch {
	case was && s.there:
		c.moved(s, left, positive, negative)
		c.moved(s, joined, negative, positive)
	case was:
		c.there--
		c.doubt(s, true)
	case s.there:
		c.there++
		c.doubt(s, false)
	}
}

// doubt notes that s has appeared or vanished.
func (c *Compiler) doubt(s *set, vanished bool) {
	for r := range s.users {
		c.stale[r] = c.stale[r] || vanished
	}
}

// apply changes the members and returns which are new, and which are not there any more.
func (s *set) apply(change SetChange) (joined, left []netip.Prefix) {
	if s.members == nil {
		s.members = make(map[netip.Prefix]bool, len(change.Add))
	}
	add := make(map[netip.Prefix]bool, len(change.Add))
	for _, p := range change.Add {
		if p = p.Masked(); p.IsValid() {
			add[p] = true
		}
	}
	leave := func(p netip.Prefix) {
		if s.members[p] && !add[p] {
			delete(s.members, p)
			left = append(left, p)
		}
	}
	if change.Replace {
		for p := range s.members {
			leave(p)
		}
	}
	for _, p := range change.Remove {
		leave(p.Masked())
	}
	for p := range add {
		if !s.members[p] {
			s.members[p] = true
			joined = append(joined, p)
		}
	}
	return joined, left
}

// prefix is one that rules name, which makes it a set of one.
type prefix struct {
	no    setNo
	rules int
}

// hold returns the number of p until it is released.
func (c *Compiler) hold(p netip.Prefix) setNo {
	h := c.prefixes[p]
	if h == nil {
		h = &prefix{no: setNo(c.setNos.take())}
		c.prefixes[p] = h
		c.addrs[p] = append(c.addrs[p], addressEdit{h.no, true})
	}
	h.rules++
	return h.no
}

func (c *Compiler) release(p netip.Prefix) {
	h := c.prefixes[p]
	if h.rules--; h.rules == 0 {
		delete(c.prefixes, p)
		c.setNos.free(uint32(h.no))
		c.addrs[p] = append(c.addrs[p], addressEdit{h.no, false})
	}
}
