package flower

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/tc"
)

func TestClassify(t *testing.T) {
	for _, tt := range []struct {
		err   error
		alone bool
		want  error // in the chain; nil: none of the sentinels
	}{
		{&tc.Error{Errno: unix.ENOSPC}, true, eswitch.ErrFull},
		{&tc.Error{Errno: unix.ENOSPC}, false, eswitch.ErrFull},
		{&tc.Error{Errno: unix.ENODEV}, false, eswitch.ErrPortGone},
		{&tc.Error{Errno: unix.EEXIST}, true, eswitch.ErrExists},
		{&tc.Error{Errno: unix.ENOENT}, false, eswitch.ErrNotSupported},
		{&tc.Error{Errno: unix.EOPNOTSUPP}, true, eswitch.ErrNotOffloaded},
		{&tc.Error{Errno: unix.EOPNOTSUPP}, false, nil},
		{&tc.Error{Errno: unix.EPERM}, true, nil},
		{fmt.Errorf("lost: %w", tc.ErrOverrun), false, eswitch.ErrUnknown},
		{context.Canceled, false, nil},
	} {
		got := classify(tt.err, tt.alone)
		if !errors.Is(got, tt.err) {
			t.Errorf("%v: the cause is not in the chain of %v", tt.err, got)
		}
		for _, sentinel := range []error{
			eswitch.ErrFull, eswitch.ErrPortGone, eswitch.ErrExists, eswitch.ErrNotSupported, eswitch.ErrNotOffloaded, eswitch.ErrUnknown,
		} {
			if errors.Is(got, sentinel) != (sentinel == tt.want) {
				t.Errorf("%v alone %t became %v", tt.err, tt.alone, got)
			}
		}
	}
	if classify(nil, true) != nil {
		t.Error("a success became an error")
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, cfg := range []Config{{Mode: 9}} {
		if d, err := Open(cfg); err == nil {
			t.Errorf("%+v was accepted", cfg)
			_ = d.Close()
		}
	}
}

// Behind a curtain a rule is refused for room if another one of its session is.
func TestTellFull(t *testing.T) {
	d := Driver{cfg: Config{Mode: SkipSW}}
	d.curtains.put(2, true)
	c := []eswitch.Change{
		{Session: 1, Ref: eswitch.Ref{Link: 2}, Err: eswitch.ErrNotOffloaded},
		{Session: 1, Ref: eswitch.Ref{Link: 1}, Err: eswitch.ErrFull},
		{Session: 2, Ref: eswitch.Ref{Link: 2}, Err: eswitch.ErrNotOffloaded},
		{Session: 2, Ref: eswitch.Ref{Link: 1}},
		{Session: 3, Ref: eswitch.Ref{Link: 1}, Err: eswitch.ErrNotOffloaded},
		{Session: 3, Ref: eswitch.Ref{Link: 1}, Err: eswitch.ErrFull},
	}
	d.tellFull(c)
	for i, want := range []bool{true, true, false, false, false, true} {
		if got := errors.Is(c[i].Err, eswitch.ErrFull); got != want {
			t.Errorf("change %d: %v", i, c[i].Err)
		}
	}
}
