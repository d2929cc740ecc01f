package grpcapi

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/structpb"
)

// Each level takes a frame of the stack while it is weighed, and one while it is decoded.
func TestWeigh_BoundsHowDeepMessagesAre(t *testing.T) {
	value := new(structpb.Value).ProtoReflect().Descriptor() // may be within itself
	for what, c := range map[string]struct {
		levels int
		want   codes.Code
	}{
		"as deep as it may be": {maxDepth, codes.OK},
		"deeper":               {maxDepth + 1, codes.ResourceExhausted},
	} {
		n, err := weigh(nested(c.levels), value)
		if status.Code(err) != c.want || err != nil && !strings.Contains(err.Error(), "nested more than 1000 deep") {
			t.Errorf("%s: got %v, want %v", what, err, c.want)
		}
		if want := c.levels * fieldSize; err == nil && n != want {
			t.Errorf("%s: got %d bytes, want %d", what, n, want)
		}
	}
}

// nested returns a google.protobuf.Value with so many messages within each other.
func nested(levels int) (message []byte) {
	list := new(structpb.Value).ProtoReflect().Descriptor().Fields().ByName("list_value").Number()
	for level := range levels {
		number := list // of a Value, which has a ListValue
		if (levels-level)%2 == 0 {
			number = 1 // of a ListValue, which has Values
		}
		outer := protowire.AppendTag(nil, number, protowire.BytesType)
		message = protowire.AppendBytes(outer, message)
	}
	return message
}
