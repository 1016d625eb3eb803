package control

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/flowshunt/flowshunt/pkg/control/controlpb"
)

// service is the generated interface on top of a Backend.
type service struct {
	pb.UnimplementedControlServer
	backend Backend
	now     func() time.Time
	writers func() (uint32, error) // the group that may change something
}

func (s *service) Show(ctx context.Context, _ *pb.ShowRequest) (*pb.ShowResponse, error) {
	st, err := s.backend.Show(ctx)
	if err != nil {
		return nil, toGRPC(err)
	}
	return fromStatus(&st), nil
}

func (s *service) Sessions(req *pb.SessionsRequest, out grpc.ServerStreamingServer[pb.SessionsResponse]) error {
	filter, err := toFilter(req)
	if err != nil {
		return badRequest(err)
	}
	seq, err := s.backend.Sessions(out.Context(), filter.WantsFollowing())
	if err != nil {
		return toGRPC(err)
	}
	limit := maxSessions
	if filter.Limit > 0 && filter.Limit < maxSessions {
		limit = int(filter.Limit)
	}
	list, matched := pick(seq, &filter, limit)
	now := s.now()
	for i := range list {
		m := &pb.SessionsResponse{Of: &pb.SessionsResponse_Session{Session: fromSession(&list[i])}}
		if err := out.Send(m); err != nil {
			return err
		}
	}
	return out.Send(&pb.SessionsResponse{Of: &pb.SessionsResponse_Summary{
		Summary: &pb.SessionsSummary{Matched: matched, NowNs: fromTime(now)},
	}})
}

func (s *service) Why(ctx context.Context, req *pb.WhyRequest) (*pb.WhyResponse, error) {
	q, err := toQuestion(req)
	if err != nil {
		return nil, badRequest(err)
	}
	e, err := s.backend.Why(ctx, q)
	if err != nil {
		return nil, toGRPC(err)
	}
	return fromExplanation(&e), nil
}

func (s *service) Stats(ctx context.Context, _ *pb.StatsRequest) (*pb.StatsResponse, error) {
	list, err := s.backend.Stats(ctx)
	if err != nil {
		return nil, toGRPC(err)
	}
	return &pb.StatsResponse{Stats: convert(list, fromStat)}, nil
}

// settleTime is left of a caller's patience for the answer to an order.
const settleTime = 500 * time.Millisecond

func (s *service) Order(req *pb.OrderRequest, out grpc.ServerStreamingServer[pb.OrderResponse]) error {
	order, err := toOrder(req)
	if err != nil {
		return badRequest(err)
	}
	order.By = peerOfCall(out.Context())
	if err := s.mayWrite(order.By); err != nil {
		return err
	}
	ctx := out.Context()
	if deadline, ok := ctx.Deadline(); ok {
		short, cancel := context.WithDeadline(ctx, deadline.Add(-settleTime))
		defer cancel()
		ctx = short
	}
	list, failed := s.backend.Order(ctx, order)
	for i := range list {
		if err := out.Send(fromOrdered(&list[i])); err != nil {
			return err
		}
	}
	return toGRPC(failed)
}

func (s *service) mayWrite(p Peer) error {
	gid, err := s.writers()
	if err != nil {
		return toGRPC(err)
	}
	if !p.mayWrite(gid) {
		return status.Errorf(codes.PermissionDenied, "only root and members of group %q may change something", groupName(gid))
	}
	return nil
}

func badRequest(err error) error {
	return status.Error(codes.InvalidArgument, text(err.Error()))
}
