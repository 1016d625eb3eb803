package control

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/flowshunt/flowshunt/flows"
	pb "github.com/flowshunt/flowshunt/pkg/control/controlpb"
)

// An order reaches the backend with who gives it, and its answers come back one by one.
func TestOrder(t *testing.T) {
	var got Order
	backend := scripted{order: func(o Order) ([]Ordered, error) {
		got = o
		return []Ordered{filledOrdered(), {Key: flows.EntryKey{Tuple: filledTuple()}, Outcome: OutcomeRefused}}, nil
	}}
	c, _ := serve(t, Server{Backend: backend})
	var list []Ordered
	each := func(r Ordered) error { list = append(list, r); return nil }
	if err := c.Order(t.Context(), filledOrder(), each); err != nil || len(list) != 2 || list[0] != filledOrdered() {
		t.Errorf("%+v, %v", list, err)
	}
	groups, err := os.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	by := got.By
	if !by.Known || by.UID != uint32(os.Getuid()) || by.GID != uint32(os.Getgid()) || by.PID != int32(os.Getpid()) || len(by.Groups) != len(groups) {
		t.Errorf("given by %+v, groups %v", by, groups)
	}
	if err := c.Order(t.Context(), Order{Kind: OrderInspect}, each); !errors.Is(err, ErrRequest) {
		t.Errorf("an order about nothing: %v", err)
	}
	stop := errors.New("enough")
	if err := c.Order(t.Context(), filledOrder(), func(Ordered) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("each has failed, and it ends with %v", err)
	}
}

// What is known of an order comes before the error that it is not all.
func TestOrderGiven(t *testing.T) {
	backend := scripted{order: func(Order) ([]Ordered, error) {
		return []Ordered{filledOrdered()}, fmt.Errorf("%w: %w", ErrGiven, context.DeadlineExceeded)
	}}
	c, _ := serve(t, Server{Backend: backend})
	n := 0
	err := c.Order(t.Context(), filledOrder(), func(Ordered) error { n++; return nil })
	if n != 1 || !errors.Is(err, ErrGiven) || strings.Count(err.Error(), ErrGiven.Error()) != 1 {
		t.Errorf("%d answers, %v", n, err)
	}
}

// Of one whose answer did not come nobody knows whether it was given.
func TestOrderWithoutAnAnswer(t *testing.T) {
	c, _ := serve(t, Server{Backend: hanging{}})
	o := filledOrder()
	for _, dry := range []bool{false, true} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		o.DryRun = dry
		err := c.Order(ctx, o, func(Ordered) error { return nil })
		if !errors.Is(err, ErrTimeout) || strings.Contains(err.Error(), "not known") == dry {
			t.Errorf("dry run %v: %v", dry, err)
		}
	}
}

// hanging does not answer an order in time.
type hanging struct{ scripted }

func (hanging) Order(ctx context.Context, _ Order) ([]Ordered, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// The backend has less time than the caller, so that its answer arrives.
func TestOrderLeavesTimeToAnswer(t *testing.T) {
	c, _ := serve(t, Server{Backend: patient{}})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	n := 0
	if err := c.Order(ctx, filledOrder(), func(Ordered) error { n++; return nil }); err != nil || n != 1 {
		t.Errorf("%d answers, %v", n, err)
	}
}

// patient answers an order when its time is over.
type patient struct{ scripted }

func (patient) Order(ctx context.Context, _ Order) ([]Ordered, error) {
	<-ctx.Done()
	return []Ordered{filledOrdered()}, nil
}

func TestMayWrite(t *testing.T) {
	own := uint32(os.Geteuid())
	for _, tt := range []struct {
		peer Peer
		want bool
	}{
		{Peer{}, false},
		{Peer{Known: true}, true},
		{Peer{Known: true, UID: own, GID: 9}, true},
		{Peer{Known: true, UID: 4711, GID: 9}, false},
		{Peer{Known: true, UID: 4711, GID: 7}, true},
		{Peer{Known: true, UID: 4711, GID: 9, Groups: []uint32{8, 7}}, true},
		{Peer{Known: true, UID: 4711, GID: 9, Groups: []uint32{8, 6}}, false},
	} {
		if got := tt.peer.mayWrite(7); got != tt.want {
			t.Errorf("%+v: %v", tt.peer, got)
		}
	}
}

// In a user namespace everybody who is not mapped there has the same ids.
func TestOverflowIsNobody(t *testing.T) {
	if (Peer{Known: true, UID: 4711, GID: 65534}).mayWrite(65534) || (Peer{Known: true, UID: 65534, GID: 9, Groups: []uint32{65534}}).mayWrite(65534) {
		t.Error("one whose group is not mapped may write")
	}
}

// Who may not write is told so, also where the socket lets him connect.
func TestOrderNeedsPermission(t *testing.T) {
	called := false
	s := service{
		backend: scripted{order: func(Order) ([]Ordered, error) { called = true; return nil, nil }},
		writers: func() (uint32, error) { return 7, nil }, now: time.Now,
	}
	o := filledOrder()
	err := s.Order(fromOrder(&o), &boundedOrders{ctx: t.Context()})
	if e := fromGRPC("order", "p", err); !errors.Is(e, ErrPermission) || called {
		t.Errorf("%v, called %v", e, called)
	}
	if (Peer{}).LogValue().String() != "unknown" {
		t.Error("an unknown peer has a name")
	}
}

// boundedOrders is the stream of a call by nobody who is known.
type boundedOrders struct {
	grpc.ServerStreamingServer[pb.OrderResponse]
	ctx context.Context
}

func (s *boundedOrders) Context() context.Context { return s.ctx }
