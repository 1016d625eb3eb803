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
		err  error
		mode Mode
		want error // in the chain; nil: none of the sentinels
	}{
		{&tc.Error{Errno: unix.ENOSPC}, SkipSW, eswitch.ErrFull},
		{&tc.Error{Errno: unix.ENOSPC}, Both, eswitch.ErrFull},
		{&tc.Error{Errno: unix.ENODEV}, SkipHW, eswitch.ErrPortGone},
		{&tc.Error{Errno: unix.EEXIST}, SkipSW, eswitch.ErrExists},
		{&tc.Error{Errno: unix.ENOENT}, SkipHW, eswitch.ErrNotSupported},
		{&tc.Error{Errno: unix.EOPNOTSUPP}, SkipSW, eswitch.ErrNotOffloaded},
		{&tc.Error{Errno: unix.EOPNOTSUPP}, SkipHW, nil},
		{&tc.Error{Errno: unix.EPERM}, SkipSW, nil},
		{fmt.Errorf("lost: %w", tc.ErrOverrun), SkipHW, eswitch.ErrUnknown},
		{context.Canceled, SkipHW, nil},
	} {
		got := classify(tt.err, tt.mode)
		if !errors.Is(got, tt.err) {
			t.Errorf("%v: the cause is not in the chain of %v", tt.err, got)
		}
		for _, sentinel := range []error{
			eswitch.ErrFull, eswitch.ErrPortGone, eswitch.ErrExists, eswitch.ErrNotSupported, eswitch.ErrNotOffloaded, eswitch.ErrUnknown,
		} {
			if errors.Is(got, sentinel) != (sentinel == tt.want) {
				t.Errorf("%v in mode %d became %v", tt.err, tt.mode, got)
			}
		}
	}
	if classify(nil, SkipSW) != nil {
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
