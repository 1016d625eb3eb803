package check

import (
	"context"
	"errors"
	"fmt"

	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/tc"
)

// rawRules is what a probe asks tc itself.
type rawRules interface {
	// place says where a rule of the probe is: "in_hw, in_hw_count 1".
	place(ctx context.Context, ref eswitch.Ref) (string, error)
	// try inserts a filter, removes it and returns what failed, and whether the filter may
	// be there still.
	try(ctx context.Context, f tc.Filter) (left bool, err error)
}

// rawConn implements rawRules over rtnetlink.
type rawConn struct{ *tc.Conn }

func openRaw() (rawConn, error) {
	conn, err := tc.Dial(tc.Config{Timeout: cleanUpTime})
	return rawConn{conn}, err
}

func (c rawConn) place(ctx context.Context, ref eswitch.Ref) (string, error) {
	protocol := tc.ProtocolIPv4
	if ref.Class.IsIPv6() {
		protocol = tc.ProtocolIPv6
	}
	var batch tc.Batch
	var result [1]tc.Result
	err := batch.GetFilter(&tc.Filter{
		Link: ref.Link, Parent: tc.Ingress, Pref: probePreference + uint16(ref.Class) - 1, Protocol: protocol,
		Kind: tc.KindFlower, Handle: ref.Handle,
	})
	if err == nil {
		err = errors.Join(c.Do(ctx, &batch, result[:]), result[0].Err)
	}
	switch {
	case err != nil:
		return "", err
	case result[0].Filter == nil:
		return "", errors.New("the kernel does not report the rule")
	case result[0].Filter.Flags&tc.InHW == 0:
		return "not_in_hw", nil
	}
	return fmt.Sprintf("in_hw, in_hw_count %d", result[0].Filter.InHWCount), nil
}

func (c rawConn) try(ctx context.Context, f tc.Filter) (left bool, err error) {
	var batch tc.Batch
	var result [1]tc.Result
	if err := batch.AddFilter(&f, tc.Exclusive); err != nil {
		return false, err
	}
	if err := errors.Join(c.Do(ctx, &batch, result[:]), result[0].Err); err != nil {
		return !isRefusal(err), err
	}
	batch.Reset()
	if err := batch.DeleteFilter(&f); err != nil {
		return true, err
	}
	err = errors.Join(c.Do(context.WithoutCancel(ctx), &batch, result[:]), result[0].Err)
	return err != nil, err
}

// isRefusal reports whether the kernel has answered. With any other error what became of
// a request is not known.
func isRefusal(err error) bool {
	var refusal *tc.Error
	return errors.As(err, &refusal)
}
