package cli

import (
	"errors"
	"strconv"
	"time"
)

// patience is the value of --timeout: a number of seconds, as ovs-vsctl takes it, or a duration such as
// 300ms. Zero is that none was given.
type patience time.Duration

// defaultPatience is that of commands that are not about databases.
const defaultPatience = patience(10 * time.Second)

func (p *patience) Set(s string) error {
	d, err := time.ParseDuration(s)
	if n, numeric := strconv.ParseUint(s, 10, 31); numeric == nil {
		d, err = time.Duration(n)*time.Second, nil
	}
	if err == nil && d <= 0 {
		err = errors.New("want more than zero")
	}
	*p = patience(d)
	return err
}

func (p patience) String() string {
	if p == 0 {
		return ""
	}
	return p.duration().String()
}

func (p *patience) Type() string { return "time" }

func (p patience) duration() time.Duration { return time.Duration(p) }
