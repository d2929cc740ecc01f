package grpcapi

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// frame is how many bytes precede a message.
const frame = 5

// Limits of what is decoded, which takes many times as much memory as its bytes: an empty
// message is two of a request and a hundred in memory.
const (
	maxFields = 100_000
	maxDepth  = 1000
	fieldSize = 256 // bytes
)

// weigh returns how many bytes it takes to decode a message beside those it has.
//
// # Errors
//
// A status when it has too many fields, or is nested too deeply.
func weigh(message []byte, of protoreflect.MessageDescriptor) (int, error) {
	n := fields(message, of, 0)
	if n > maxFields {
		return 0, status.Errorf(codes.ResourceExhausted,
			"the request has more than %d fields, or messages nested more than %d deep", maxFields, maxDepth)
	}
	return n * fieldSize, nil
}

// fields returns how many fields a message has, with those of the messages within, up to
// what makes it too many; one that is nested too deeply has too many. Where it is malformed
// it ends: the decoder says so.
func fields(message []byte, of protoreflect.MessageDescriptor, depth int) (n int) {
	if depth > maxDepth {
		return maxFields + 1
	}
	for len(message) > 0 && n <= maxFields {
		number, kind, size := protowire.ConsumeTag(message)
		if size < 0 {
			return n
		}
		message = message[size:]
		if size = protowire.ConsumeFieldValue(number, kind, message); size < 0 {
			return n
		}
		n++
		if f := of.Fields().ByNumber(number); f != nil && kind == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(message)
			switch {
			case f.Message() != nil:
				n += fields(value, f.Message(), depth+1)
			case f.IsPacked():
				n += len(value) / 8
			}
		}
		message = message[size:]
	}
	return n
}
