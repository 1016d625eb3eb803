package wire

import (
	"cmp"
	"slices"
	"time"
)

// report takes what a worker has to say.
func (k *Keeper) report(bridge string, list []Status) {
	k.mu.Lock()
	changed := !slices.Equal(k.reported[bridge], list)
	k.reported[bridge] = list
	k.mu.Unlock()
	if changed {
		k.tell()
	}
}

// tell tells what is new.
func (k *Keeper) tell() {
	k.telling.Lock()
	defer k.telling.Unlock()
	k.mu.Lock()
	list, whole := k.list()
	news := whole && (k.told == nil || !slices.Equal(k.told, list))
	if news {
		k.told = append([]Status{}, list...)
	}
	k.mu.Unlock()
	if news {
		k.cfg.Tell(list)
	}
}

// list returns how all wires are: what was told last of those of which their bridge has not
// said anything yet. It is not whole where nothing was. k.mu is held.
func (k *Keeper) list() (list []Status, whole bool) {
	list = make([]Status, 0, len(k.specs))
	for _, s := range k.away {
		s.Since = time.Now()
		if last, ok := statusOf(k.told, s.Name); ok && last.State == s.State {
			s.Since = last.Since
		}
		list = append(list, s)
	}
	for name, at := range k.homes {
		s, ok := statusOf(k.reported[at.bridge], name)
		if !ok {
			s, ok = statusOf(k.told, name)
		}
		if !ok && k.told == nil {
			return nil, false
		}
		if !ok { // what is known of others does not wait for it
			s = Status{Spec: at.spec, Since: time.Now(), Detail: "bridge " + at.bridge + " was not looked at yet"}
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b Status) int { return cmp.Compare(a.Name, b.Name) })
	return list, k.set
}

func statusOf(list []Status, wire string) (Status, bool) {
	i := slices.IndexFunc(list, func(s Status) bool { return s.Name == wire })
	if i < 0 {
		return Status{}, false
	}
	return list[i], true
}
