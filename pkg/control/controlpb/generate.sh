#!/bin/sh
# Regenerates the Go code of control.proto with protoc and the plugin versions
# that hack/tools/go.mod pins (tool directives for
# google.golang.org/protobuf/cmd/protoc-gen-go and
# google.golang.org/grpc/cmd/protoc-gen-go-grpc). TOOLS names another such file.
set -eu
root=../../..
tools=${TOOLS:-$root/hack/tools/go.mod}
plugin() { go tool -modfile="$tools" -n "$1"; }

exec protoc --proto_path="$root" \
	--plugin="protoc-gen-go=$(plugin protoc-gen-go)" \
	--plugin="protoc-gen-go-grpc=$(plugin protoc-gen-go-grpc)" \
	--go_out="$root" --go_opt=paths=source_relative \
	--go-grpc_out="$root" --go-grpc_opt=paths=source_relative \
	pkg/control/controlpb/control.proto
