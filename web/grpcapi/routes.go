package grpcapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	functions "github.com/yandex-cloud/go-genproto/yandex/cloud/serverless/functions/v1"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"vivarium/host/fault"
	"vivarium/web/api"
	"vivarium/web/manage"
)

// functionMethods are all methods of FunctionService. Each is the route that the cloud's
// definition names. Some have two names, of which one has no path: they take the same
// message.
func (s *Server) functionMethods() map[string]method {
	methods, byInput := map[string]method{}, map[protoreflect.FullName]method{}
	all := functions.File_yandex_cloud_serverless_functions_v1_function_service_proto.Services().ByName("FunctionService").Methods()
	for i := range all.Len() {
		if rule, ok := proto.GetExtension(all.Get(i).Options(), annotations.E_Http).(*annotations.HttpRule); ok && rule != nil {
			m := s.route(all.Get(i), rule)
			methods[string(all.Get(i).Name())], byInput[all.Get(i).Input().FullName()] = m, m
		}
	}
	for i := range all.Len() {
		methods[string(all.Get(i).Name())] = byInput[all.Get(i).Input().FullName()]
	}
	return methods
}

var inBraces = regexp.MustCompile(`\{([a-z_]+)\}`)

// route returns the method that does what the route of a path does. There must be such a
// route.
func (s *Server) route(d protoreflect.MethodDescriptor, rule *annotations.HttpRule) method {
	verb, path := pathOf(rule)
	route, ok := api.RouteOf(verb, strings.TrimPrefix(path, api.BasePath))
	if !ok {
		panic(fmt.Sprintf("grpcapi: %s: there is no route %s %s", d.FullName(), verb, path))
	}
	inPath := inBraces.FindAllStringSubmatch(path, -1)
	return method{does: route.Does(), upload: route.Upload(), call: func(ctx context.Context, in proto.Message) (proto.Message, error) {
		a := api.Arguments{Query: url.Values{}}
		m := in.ProtoReflect()
		for _, name := range inPath {
			field := m.Descriptor().Fields().ByName(protoreflect.Name(name[1]))
			if !m.Has(field) {
				return nil, fault.Invalidf(name[1], "is missing")
			}
			a.Path = append(a.Path, m.Get(field).String())
			m.Clear(field)
		}
		if r, ok := in.(*functions.CreateFunctionVersionRequest); ok {
			a.Content = r.GetContent()
			if _, ok := r.PackageSource.(*functions.CreateFunctionVersionRequest_Content); ok {
				r.PackageSource = nil
			}
		}
		if rule.Body == "" {
			m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
				a.Query.Set(field.JSONName(), v.String())
				return true
			})
		} else {
			var err error
			if a.Body, err = protojson.Marshal(in); err != nil {
				return nil, inexpressible(m)
			}
		}
		c := callOf(ctx)
		answer, err := s.config.API.Ask(c.WithContext(ctx), route, a)
		if err != nil {
			return nil, err
		}
		return s.message(ctx, answer, d.Output().FullName())
	}}
}

// inexpressible returns the error for a message that has no form in JSON, such as one with
// a duration of a million years.
func inexpressible(m protoreflect.Message) error {
	name := protoreflect.Name("request")
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		alone := m.New()
		alone.Set(field, v)
		if _, err := protojson.Marshal(alone.Interface()); err != nil {
			name = field.Name()
			return false
		}
		return true
	})
	return fault.Invalidf(string(name), "is out of range, or names no field")
}

// pathOf returns the verb and the path of a rule.
func pathOf(rule *annotations.HttpRule) (verb, path string) {
	switch p := rule.Pattern.(type) {
	case *annotations.HttpRule_Get:
		return "GET", p.Get
	case *annotations.HttpRule_Post:
		return "POST", p.Post
	case *annotations.HttpRule_Patch:
		return "PATCH", p.Patch
	case *annotations.HttpRule_Delete:
		return "DELETE", p.Delete
	}
	return "", ""
}

// message returns what a route answers as the message of a name.
func (s *Server) message(ctx context.Context, answer any, name protoreflect.FullName) (proto.Message, error) {
	switch a := answer.(type) {
	case *manage.Operation:
		return s.operation(ctx, a)
	case *api.OperationPage:
		described, err := s.operations(ctx, a.Operations)
		return &functions.ListFunctionOperationsResponse{Operations: described, NextPageToken: a.NextPageToken}, err
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	return fromJSON(text, newMessage(name))
}

// fromJSON returns a message with what text has of it. What the cloud does not have is
// left out.
func fromJSON[M proto.Message](text []byte, m M) (M, error) {
	err := protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(text, m)
	return m, err
}
