package grpcapi

import (
	"context"

	"github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	functions "github.com/yandex-cloud/go-genproto/yandex/cloud/serverless/functions/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"vivarium/host/access"
	"vivarium/host/accounts"
	"vivarium/host/catalog"
	"vivarium/host/events"
	"vivarium/web/api"
	"vivarium/web/manage"
)

func (s *Server) operationMethods() map[string]method {
	return map[string]method{
		"Get": unary("Operation", func(ctx context.Context, in *operation.GetOperationRequest) (*operation.Operation, error) {
			op, err := s.desk.Operations.Find(ctx, access.PrincipalOf(ctx), in.OperationId)
			if err != nil {
				return nil, err
			}
			return s.operation(ctx, op)
		}),
		// Changes are made at once; what is left to wait for are calls that a deletion drains.
		"Cancel": unary("Operation", func(ctx context.Context, in *operation.CancelOperationRequest) (*operation.Operation, error) {
			op, err := s.desk.Operations.Find(ctx, access.PrincipalOf(ctx), in.OperationId)
			if err != nil {
				return nil, err
			}
			if op.Done {
				return nil, status.Errorf(codes.FailedPrecondition, "operation %s has ended", op.ID)
			}
			return nil, status.Errorf(codes.FailedPrecondition, "operation %s is a deletion, which can't be taken back", op.ID)
		}),
	}
}

// operation describes an operation.
func (s *Server) operation(ctx context.Context, op *manage.Operation) (*operation.Operation, error) {
	o := &operation.Operation{
		Id: op.ID, Description: op.Description, CreatedAt: timestamppb.New(op.CreatedAt), CreatedBy: op.By.KeyID,
		ModifiedAt: timestamppb.New(op.ModifiedAt), Done: op.Done,
	}
	var err error
	if o.Metadata, err = anypb.New(metadata(op)); err != nil {
		return nil, err
	}
	switch {
	case op.Err != nil:
		o.Result = &operation.Operation_Error{Error: s.status(ctx, op.Kind, op.Err).Proto()}
	case op.Done:
		response, err := s.response(ctx, op)
		if err != nil {
			return nil, err
		}
		packed, err := anypb.New(response)
		if err != nil {
			return nil, err
		}
		o.Result = &operation.Operation_Response{Response: packed}
	}
	return o, nil
}

// operations describes several.
func (s *Server) operations(ctx context.Context, all []*manage.Operation) (described []*operation.Operation, err error) {
	for _, op := range all {
		o, err := s.operation(ctx, op)
		if err != nil {
			return nil, err
		}
		described = append(described, o)
	}
	return described, nil
}

// metadata returns the message that tells what an operation is about; an empty one for
// changes that the cloud does not have.
func metadata(op *manage.Operation) proto.Message {
	t, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(op.Kind))
	if err != nil {
		return &emptypb.Empty{}
	}
	m := t.New()
	for name, id := range op.IDs {
		if field := m.Descriptor().Fields().ByJSONName(name); field != nil {
			m.Set(field, protoreflect.ValueOfString(id))
		}
	}
	return m.Interface()
}

// response returns the message that an operation ended with.
func (s *Server) response(ctx context.Context, op *manage.Operation) (proto.Message, error) {
	var m proto.Message
	switch changed := op.Response.(type) {
	case catalog.FunctionInfo:
		m = &functions.Function{}
	case catalog.VersionInfo:
		m = &functions.Version{}
	case manage.Policy:
		m = &functions.ScalingPolicy{}
	case events.Timer:
		return newTrigger(changed), nil
	case accounts.Account:
		return newServiceAccount(changed), nil
	case accounts.Changes:
		return newBindingsResult(changed), nil
	default:
		return &emptypb.Empty{}, nil
	}
	return fromJSON(api.Changed(op.Response, api.BaseURL(callOf(ctx).Request)), m)
}
