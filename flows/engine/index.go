package engine

// index finds sessions by something that several can share. Taking one out costs as little
// as putting one in, and what nobody shares any more takes no room.
type index[K comparable] struct{ heads map[K]*member[K] }

// member is the place of a session in one list of an index.
type member[K comparable] struct {
	key        K
	session    *session
	prev, next *member[K]
}

func newIndex[K comparable]() index[K] { return index[K]{make(map[K]*member[K])} }

func (x index[K]) add(key K, s *session) *member[K] {
	m := &member[K]{key: key, session: s, next: x.heads[key]}
	if m.next != nil {
		m.next.prev = m
	}
	x.heads[key] = m
	return m
}

func (x index[K]) remove(m *member[K]) {
	switch {
	case m.prev != nil:
		m.prev.next = m.next
	case m.next != nil:
		x.heads[m.key] = m.next
	default:
		delete(x.heads, m.key)
	}
	if m.next != nil {
		m.next.prev = m.prev
	}
}

// appendTo appends the sessions that share a key, those that came last first.
func (x index[K]) appendTo(list []*session, key K) []*session {
	for m := x.heads[key]; m != nil; m = m.next {
		list = append(list, m.session)
	}
	return list
}
