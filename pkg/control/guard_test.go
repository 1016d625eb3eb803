package control

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TestGuardHoldsBack fills every slot: the next call waits until its time is up
// and never reaches the backend.
func TestGuardHoldsBack(t *testing.T) {
	g := newGuard(nil)
	for range maxCalls {
		g.slots <- struct{}{}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := g.unary(ctx, nil, &grpc.UnaryServerInfo{}, func(context.Context, any) (any, error) {
		t.Error("the backend was asked")
		return nil, nil
	})
	if status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("got %v", err)
	}
}

// TestGuardSetsDeadline gives a call without a deadline one.
func TestGuardSetsDeadline(t *testing.T) {
	g := newGuard(nil)
	_, err := g.unary(context.Background(), nil, &grpc.UnaryServerInfo{}, func(ctx context.Context, _ any) (any, error) {
		if end, ok := ctx.Deadline(); !ok || time.Until(end) > maxCallTime {
			t.Errorf("deadline %v, %t", end, ok)
		}
		return nil, nil
	})
	if err != nil || len(g.slots) != 0 {
		t.Errorf("error %v, %d slots kept", err, len(g.slots))
	}
}
