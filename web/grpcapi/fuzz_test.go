package grpcapi_test

import (
	"context"
	"strings"
	"testing"
	"time"

	functions "github.com/yandex-cloud/go-genproto/yandex/cloud/serverless/functions/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// Whatever a message of a method says, nothing breaks: what is wrong is the caller's fault.
func FuzzMethods(f *testing.F) {
	s := startPlain(f)
	conn := s.dial("")
	mine := s.furnish(conn, "acme", "viv_"+nothing+"_")
	add := func(n int, in proto.Message) {
		body, err := proto.Marshal(in)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(n), body)
	}
	for n, m := range methods {
		add(n, m.right(missing))
		if m.wrong != nil {
			add(n, m.wrong(mine))
		}
		switch {
		case strings.HasSuffix(m.path, "/CreateVersion"):
			in := newVersionWith([]byte("PK"))
			in.ExecutionTimeout = durationpb.New(time.Second)
			in.ExecutionTimeout.Seconds = 1 << 50
			add(n, in)
		case m.path == functionService+"Update":
			add(n, &functions.UpdateFunctionRequest{FunctionId: mine.function, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"a__B"}}})
		}
	}
	f.Fuzz(func(t *testing.T, n uint8, body []byte) {
		m := methods[int(n)%len(methods)]
		kind, err := protoregistry.GlobalTypes.FindMessageByName(descriptor(t, m.path).Input().FullName())
		if err != nil {
			t.Fatal(err)
		}
		in := kind.New().Interface()
		if proto.Unmarshal(body, in) != nil {
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		_, err = invoke(ctx, conn, m.path, in)
		switch status.Code(err) {
		case codes.Internal, codes.Unknown, codes.Unavailable, codes.DeadlineExceeded:
			t.Errorf("%s with %v: %v", m.path, in, err)
		}
	})
}
