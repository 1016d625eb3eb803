package eswitch

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// Split is a Driver made of several, each of which executes the rules of some ports.
// Which of them that is, is said by Assign; what an earlier process left is found
// wherever it stands.
type Split struct {
	drivers []Driver

	mu   sync.Mutex
	use  map[int32]int    // driver for what is to be added, by port; none: the first
	seen map[int32]uint64 // drivers that may have rules there, a bit each
}

// NewSplit returns the union of at most 64 drivers. Ports belong to the first.
func NewSplit(drivers ...Driver) *Split {
	return &Split{drivers: drivers, use: make(map[int32]int), seen: make(map[int32]uint64)}
}

// Assign gives a port to a driver, by its place in NewSplit. Rules that stand already
// stay where they are.
func (s *Split) Assign(link int32, driver int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.use[link] = driver
}

func (s *Split) assigned(link int32) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.use[link]
}

func (s *Split) note(link int32, driver int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[link] |= 1 << driver
}

// at returns the drivers that may have rules of a port.
func (s *Split) at(link int32) (drivers []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.seen[link]
	for i := range s.drivers {
		if seen == 0 || seen&(1<<i) != 0 {
			drivers = append(drivers, i)
		}
	}
	return drivers
}

// Prepare implements Driver.
func (s *Split) Prepare(ctx context.Context, link int32) error {
	i := s.assigned(link)
	err := s.drivers[i].Prepare(ctx, link)
	if err == nil {
		s.note(link, i)
	}
	return err
}

// Release implements Driver. A port that was released belongs to the first driver until
// it is assigned again.
func (s *Split) Release(ctx context.Context, link int32) error {
	var errs []error
	for _, i := range s.at(link) {
		errs = append(errs, s.drivers[i].Release(ctx, link))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.use, link)
	delete(s.seen, link)
	return nil
}

// Links implements Driver.
func (s *Split) Links(ctx context.Context) ([]int32, error) {
	var all []int32
	var errs []error
	for i, d := range s.drivers {
		links, err := d.Links(ctx)
		for _, link := range links {
			s.note(link, i)
		}
		all, errs = append(all, links...), append(errs, err)
	}
	slices.Sort(all)
	return slices.Compact(all), errors.Join(errs...)
}

// Rules implements Driver.
func (s *Split) Rules(ctx context.Context, scope Scope, fn func(*Found)) error {
	var errs []error
	for _, i := range s.at(scope.Link) {
		errs = append(errs, s.drivers[i].Rules(ctx, scope, fn))
	}
	return errors.Join(errs...)
}

// Apply implements Driver. A deletion goes to every driver that may have the rule.
func (s *Split) Apply(ctx context.Context, changes []Change) {
	for i, d := range s.drivers {
		var mine []Change
		var of []int
		for n, c := range changes {
			if c.Op == Add && s.assigned(c.Ref.Link) == i || c.Op == Delete && slices.Contains(s.at(c.Ref.Link), i) {
				c.Err = nil
				mine, of = append(mine, c), append(of, n)
			}
			if i == 0 {
				changes[n].Err = nil
			}
		}
		if len(mine) == 0 {
			continue
		}
		d.Apply(ctx, mine)
		for n, c := range mine {
			to := &changes[of[n]]
			to.InHW, to.Err = c.InHW, errors.Join(to.Err, c.Err)
		}
	}
}

// Keep implements Keeper.
func (s *Split) Keep(ctx context.Context, rules []Change) error {
	var errs []error
	for i, d := range s.drivers {
		k, ok := d.(Keeper)
		if !ok {
			continue
		}
		var mine []Change
		for _, c := range rules {
			if slices.Contains(s.at(c.Ref.Link), i) {
				mine = append(mine, c)
			}
		}
		if len(mine) > 0 {
			errs = append(errs, k.Keep(ctx, mine))
		}
	}
	return errors.Join(errs...)
}

// KeepWithin implements Keeper: the shortest of all.
func (s *Split) KeepWithin() (least time.Duration) {
	for _, d := range s.drivers {
		if k, ok := d.(Keeper); ok {
			least = min(cmp.Or(least, k.KeepWithin()), k.KeepWithin())
		}
	}
	return least
}

var _ Keeper = (*Split)(nil)
