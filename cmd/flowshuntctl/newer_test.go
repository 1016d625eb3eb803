package main

import (
	"context"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"

	pb "github.com/flowshunt/flowshunt/pkg/control/controlpb"
)

// newer answers with fields and enum values that this program does not know, and
// lacks one method.
type newer struct{ pb.UnimplementedControlServer }

var unknownField = protowire.AppendString(protowire.AppendTag(nil, 999, protowire.BytesType), "news")

func (newer) Show(context.Context, *pb.ShowRequest) (*pb.ShowResponse, error) {
	m := &pb.ShowResponse{Version: "9.0", Mode: 9, Ready: true,
		Components: []*pb.Component{{Name: "raft", Health: 9}, nil}}
	m.ProtoReflect().SetUnknown(unknownField)
	return m, nil
}

func (newer) Sessions(_ *pb.SessionsRequest, out grpc.ServerStreamingServer[pb.SessionsResponse]) error {
	s := &pb.Session{Tuple: wireTuple(), State: 300, Verdict: 9, Reason: "new-reason"}
	s.ProtoReflect().SetUnknown(unknownField)
	list := []*pb.SessionsResponse{{}, {Of: &pb.SessionsResponse_Session{Session: s}},
		{Of: &pb.SessionsResponse_Summary{Summary: &pb.SessionsSummary{Matched: 1}}}}
	for _, m := range list {
		if err := out.Send(m); err != nil {
			return err
		}
	}
	return nil
}

func (newer) Why(context.Context, *pb.WhyRequest) (*pb.WhyResponse, error) {
	return &pb.WhyResponse{Entries: []*pb.Entry{{Tuple: wireTuple(), Followed: true, State: 9, Verdict: 9, Reason: "new-reason",
		Checks: []*pb.Check{{Name: "quota", Result: 9, Detail: "of a tenant"}}}}}, nil
}

// flood answers with more than a client should take.
type flood struct{ pb.UnimplementedControlServer }

func (flood) Show(context.Context, *pb.ShowRequest) (*pb.ShowResponse, error) {
	return &pb.ShowResponse{Version: strings.Repeat("x", 9<<20)}, nil
}

func wireTuple() *pb.Tuple {
	return &pb.Tuple{Src: "10.0.0.1", Dst: "10.0.0.2", SrcPort: 1, DstPort: 2, Proto: 6}
}
