package grpcapi

import (
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"vivarium/host/access"
)

// method is a method that is served.
type method struct {
	does   access.Operation // of the host's, which says what role the caller must have
	upload bool             // the request carries code
	stream bool             // goes on until the caller ends it
	call   func(ctx context.Context, in proto.Message) (proto.Message, error)
	input  protoreflect.MessageDescriptor // of the one request; nil where there are many
}

// unary returns a method that is a function of its message.
func unary[In, Out proto.Message](does access.Operation, call func(context.Context, In) (Out, error)) method {
	return method{does: does, call: func(ctx context.Context, in proto.Message) (proto.Message, error) {
		out, err := call(ctx, in.(In))
		if err != nil {
			return nil, err
		}
		return out, nil
	}}
}

// register adds the services. Their descriptions are those of the cloud's generated
// code, which have more methods than are served.
func (s *Server) register() {
	for name, methods := range map[protoreflect.FullName]map[string]method{
		"yandex.cloud.serverless.functions.v1.FunctionService": s.functionMethods(),
		"yandex.cloud.operation.OperationService":              s.operationMethods(),
		"yandex.cloud.serverless.triggers.v1.TriggerService":   s.triggerMethods(),
		"yandex.cloud.logging.v1.LogReadingService":            s.logMethods(),
		"yandex.cloud.endpoint.ApiEndpointService":             s.endpointMethods(),
		"yandex.cloud.iam.v1.IamTokenService":                  s.tokenMethods(),
		"yandex.cloud.iam.v1.ServiceAccountService":            s.serviceAccountMethods(),
		"yandex.cloud.resourcemanager.v1.CloudService":         s.cloudMethods(),
		"yandex.cloud.resourcemanager.v1.FolderService":        s.folderMethods(),
	} {
		service := describe[protoreflect.ServiceDescriptor](name)
		s.services[string(name)] = methods
		description := &grpc.ServiceDesc{ServiceName: string(name), Metadata: service.ParentFile().Path()}
		for _, method := range slices.Sorted(maps.Keys(methods)) {
			m, served := service.Methods().ByName(protoreflect.Name(method)), methods[method]
			served.input = m.Input()
			methods[method] = served
			description.Methods = append(description.Methods, grpc.MethodDesc{
				MethodName: method, Handler: s.handle("/"+string(name)+"/"+method, m.Input().FullName(), served.call),
			})
		}
		s.grpc.RegisterService(description, nil)
	}
}

// describe returns one of the cloud's definitions, which are linked in.
func describe[D protoreflect.Descriptor](name protoreflect.FullName) D {
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil {
		panic(err)
	}
	return d.(D)
}

// newMessage returns an empty message, whose type is linked in.
func newMessage(name protoreflect.FullName) proto.Message {
	t, err := protoregistry.GlobalTypes.FindMessageByName(name)
	if err != nil {
		panic(err)
	}
	return t.New().Interface()
}

// handle returns what grpc calls for a method.
func (s *Server) handle(
	path string, input protoreflect.FullName, call func(context.Context, proto.Message) (proto.Message, error),
) grpc.MethodHandler {
	return func(_ any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
		in := newMessage(input)
		done, err := s.desk.Turn(callOf(ctx).Request)
		if err != nil {
			return nil, s.status(ctx, path, err).Err()
		}
		done = sync.OnceFunc(done)
		defer done()
		if err := decode(in); err != nil {
			return nil, err
		}
		if !lists(path) { // a list is much, and counted only once it is made
			done()
		}
		return intercept(ctx, in, &grpc.UnaryServerInfo{FullMethod: path}, func(ctx context.Context, in any) (any, error) {
			return call(ctx, in.(proto.Message))
		})
	}
}

// lists reports whether the method of a path answers a list.
func lists(path string) bool {
	return strings.HasPrefix(path[strings.LastIndexByte(path, '/')+1:], "List")
}

// find returns the method of a path, /SERVICE/METHOD.
//
// # Errors
//
// UNIMPLEMENTED, which names what there is.
func (s *Server) find(path string) (method, error) {
	service, name, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	methods, ok := s.services[service]
	if !ok {
		return method{}, status.Errorf(codes.Unimplemented, "the service %.200s is not served here; there are: %s",
			service, strings.Join(slices.Sorted(maps.Keys(s.services)), ", "))
	}
	m, ok := methods[name]
	if !ok {
		return method{}, status.Errorf(codes.Unimplemented, "the method %.100s of %s is not served here; there are: %s",
			name, service, strings.Join(slices.Sorted(maps.Keys(methods)), ", "))
	}
	return m, nil
}

// answer runs a method, and makes a status of what it returns.
func (s *Server) answer(ctx context.Context, in any, info *grpc.UnaryServerInfo, run grpc.UnaryHandler) (out any, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = s.status(ctx, info.FullMethod, fmt.Errorf("panic: %v\n%s", r, debug.Stack())).Err()
		}
	}()
	if err := ctx.Err(); err != nil { // nobody would hear of what it changes
		return nil, status.FromContextError(err).Err()
	}
	out, err = run(ctx, in)
	if err != nil {
		return nil, s.status(ctx, info.FullMethod, err).Err()
	}
	size := proto.Size(out.(proto.Message))
	if size > maxAnswer {
		return nil, status.Errorf(codes.ResourceExhausted, "the answer would have %d bytes, at most %d are sent; ask for fewer items a page",
			size, maxAnswer)
	}
	if err := callOf(ctx).held.Reserve(size); err != nil { // for as long as the reader takes
		return nil, s.status(ctx, info.FullMethod, err).Err()
	}
	return out, nil
}
