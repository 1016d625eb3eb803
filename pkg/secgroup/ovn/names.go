package ovn

// names is a set of names, or of rows by uuid.
type names map[string]struct{}

func (n *names) add(name string) {
	if *n == nil {
		*n = names{}
	}
	(*n)[name] = struct{}{}
}

func (n names) has(name string) bool {
	_, ok := n[name]
	return ok
}

// insert and remove change one of many sets. There are no empty ones.
func insert(sets map[string]names, key, name string) {
	set := sets[key]
	set.add(name)
	sets[key] = set
}

func remove(sets map[string]names, key, name string) {
	delete(sets[key], name)
	if len(sets[key]) == 0 {
		delete(sets, key)
	}
}

// differences returns what is in old only, and what is in now only. Both are mostly the
// same, in the same order, and have nothing twice.
func differences(old, now []string) (gone, come []string) {
	for len(old) > 0 && len(now) > 0 && old[0] == now[0] {
		old, now = old[1:], now[1:]
	}
	for len(old) > 0 && len(now) > 0 && old[len(old)-1] == now[len(now)-1] {
		old, now = old[:len(old)-1], now[:len(now)-1]
	}
	before := make(names, len(old))
	for _, s := range old {
		before.add(s)
	}
	for _, s := range now {
		if before.has(s) {
			delete(before, s)
		} else {
			come = append(come, s)
		}
	}
	for s := range before {
		gone = append(gone, s)
	}
	return gone, come
}
