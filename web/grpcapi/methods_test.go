package grpcapi_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	cloudaccess "github.com/yandex-cloud/go-genproto/yandex/cloud/access"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/api"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/endpoint"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/iam/v1"
	logging "github.com/yandex-cloud/go-genproto/yandex/cloud/logging/v1"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/resourcemanager/v1"
	functions "github.com/yandex-cloud/go-genproto/yandex/cloud/serverless/functions/v1"
	triggers "github.com/yandex-cloud/go-genproto/yandex/cloud/serverless/triggers/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"vivarium/host/access"
)

// invoke calls a method by its path and returns its answer.
func invoke(ctx context.Context, conn grpc.ClientConnInterface, path string, in proto.Message) (proto.Message, error) {
	service, name, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		return nil, err
	}
	t, err := protoregistry.GlobalTypes.FindMessageByName(
		d.(protoreflect.ServiceDescriptor).Methods().ByName(protoreflect.Name(name)).Output().FullName())
	if err != nil {
		return nil, err
	}
	out := t.New().Interface()
	return out, conn.Invoke(ctx, path, in, out)
}

// descriptor returns the definition of a method.
func descriptor(t testing.TB, path string) protoreflect.MethodDescriptor {
	t.Helper()
	service, name, _ := strings.Cut(path[1:], "/")
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		t.Fatal(err)
	}
	return d.(protoreflect.ServiceDescriptor).Methods().ByName(protoreflect.Name(name))
}

// own is what a tenant has that requests are about.
type own struct{ folder, function, group, version, trigger, operation, key, account string }

// furnish makes one of each for who has a key.
func (s *server) furnish(conn *grpc.ClientConn, folder, key string) own {
	s.t.Helper()
	o := own{folder: folder, key: strings.Split(key, "_")[1]}
	do := func(path string, in proto.Message) *operation.Operation {
		s.t.Helper()
		out, err := invoke(s.t.Context(), conn, path, in)
		if err != nil {
			s.t.Fatalf("%s: %v", path, err)
		}
		return out.(*operation.Operation)
	}
	var f functions.Function
	created := do(functionService+"Create", &functions.CreateFunctionRequest{FolderId: folder, Name: "fun"})
	if err := created.GetResponse().UnmarshalTo(&f); err != nil {
		s.t.Fatal(err)
	}
	o.function, o.operation = f.Id, created.Id
	var v functions.Version
	err := do(functionService+"CreateVersion", &functions.CreateFunctionVersionRequest{
		FunctionId: f.Id, Runtime: "python313", Entrypoint: "main.handler", Tag: []string{"one"},
		PackageSource: &functions.CreateFunctionVersionRequest_Content{Content: archive(s.t, "def handler(event, context): return {}")},
	}).GetResponse().UnmarshalTo(&v)
	if err != nil {
		s.t.Fatal(err)
	}
	o.version = v.Id
	do(functionService+"SetScalingPolicy", &functions.SetScalingPolicyRequest{FunctionId: f.Id, Tag: "one", ZoneInstancesLimit: 2})
	var t triggers.Trigger
	err = do(triggerService+"Create", &triggers.CreateTriggerRequest{FolderId: folder, Name: "tick", Rule: timer(f.Id, "0 0 1 1 ? *")}).GetResponse().UnmarshalTo(&t)
	if err != nil {
		s.t.Fatal(err)
	}
	o.trigger = t.Id
	var a iam.ServiceAccount
	err = do(accountService+"Create", &iam.CreateServiceAccountRequest{FolderId: folder, Name: "robot"}).GetResponse().UnmarshalTo(&a)
	if err != nil {
		s.t.Fatal(err)
	}
	o.account = a.Id
	info, err := s.host.Catalog().Function(access.Operator, f.Id)
	if err != nil {
		s.t.Fatal(err)
	}
	o.group = info.LogGroupID
	return o
}

// timer returns the rule of a timer.
func timer(function, cron string) *triggers.Trigger_Rule {
	call := &triggers.InvokeFunctionWithRetry{FunctionId: function}
	return &triggers.Trigger_Rule{Rule: &triggers.Trigger_Rule_Timer{Timer: &triggers.Trigger_Timer{
		CronExpression: cron, Payload: "p", Action: &triggers.Trigger_Timer_InvokeFunctionWithRetry{InvokeFunctionWithRetry: call},
	}}}
}

const (
	functionService = "/yandex.cloud.serverless.functions.v1.FunctionService/"
	triggerService  = "/yandex.cloud.serverless.triggers.v1.TriggerService/"
	logService      = "/yandex.cloud.logging.v1.LogReadingService/"
	tokenService    = "/yandex.cloud.iam.v1.IamTokenService/"
	accountService  = "/yandex.cloud.iam.v1.ServiceAccountService/"
	cloudService    = "/yandex.cloud.resourcemanager.v1.CloudService/"
	folderService   = "/yandex.cloud.resourcemanager.v1.FolderService/"
	endpointService = "/yandex.cloud.endpoint.ApiEndpointService/"
)

// nothing is an id that nothing has.
const nothing = "d4e00000000000000000"

var missing = own{"nobody", nothing, nothing, nothing, nothing, nothing, nothing, nothing}

var publicBinding = &cloudaccess.AccessBinding{
	RoleId: "functions.functionInvoker", Subject: &cloudaccess.Subject{Id: "allUsers", Type: "system"},
}

// methods are requests for each method: one that is right about what a tenant has, and one
// that breaks the rule of a field. The order is that in which they are made.
var methods = []struct {
	path  string
	right func(o own) proto.Message
	wrong func(o own) proto.Message // nil: nothing can be wrong
	field string                    // of wrong
	// open are methods that are about nothing of a tenant's: another tenant's and missing
	// things can't be asked for.
	open bool
	// lists are answers that have nothing of another tenant, instead of an error.
	lists bool
}{
	{path: functionService + "Get", right: func(o own) proto.Message { return &functions.GetFunctionRequest{FunctionId: o.function} },
		wrong: func(own) proto.Message { return &functions.GetFunctionRequest{} }, field: "function_id"},
	{path: functionService + "List", right: func(o own) proto.Message { return &functions.ListFunctionsRequest{FolderId: o.folder} },
		wrong: func(own) proto.Message { return &functions.ListFunctionsRequest{PageSize: 1001} }, field: "page_size", lists: true},
	{path: functionService + "Create", right: func(o own) proto.Message {
		return &functions.CreateFunctionRequest{FolderId: o.folder, Name: "another"}
	},
		wrong: func(own) proto.Message { return &functions.CreateFunctionRequest{Name: "A"} }, field: "name"},
	{path: functionService + "Update", right: func(o own) proto.Message {
		return &functions.UpdateFunctionRequest{FunctionId: o.function, Description: "d"}
	},
		wrong: func(o own) proto.Message {
			return &functions.UpdateFunctionRequest{FunctionId: o.function, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"folder_id"}}}
		}, field: "update_mask"},
	{path: functionService + "CreateVersion", right: newVersionOf, wrong: newVersionOfTooMuch, field: "resources.memory"},
	{path: functionService + "CreateFunctionVersion", right: newVersionOf, wrong: newVersionOfTooMuch, field: "resources.memory"},
	{path: functionService + "GetVersion", right: versionRequest, wrong: noVersion, field: "function_version_id"},
	{path: functionService + "GetFunctionVersion", right: versionRequest, wrong: noVersion, field: "function_version_id"},
	{path: functionService + "GetVersionByTag", right: tagRequest, wrong: noTag, field: "function_id"},
	{path: functionService + "GetFunctionVersionByTag", right: tagRequest, wrong: noTag, field: "function_id"},
	{path: functionService + "ListVersions", right: versionsRequest, wrong: manyVersions, field: "page_size"},
	{path: functionService + "ListFunctionVersions", right: versionsRequest, wrong: manyVersions, field: "page_size"},
	{path: functionService + "SetTag", right: func(o own) proto.Message {
		return &functions.SetFunctionTagRequest{FunctionVersionId: o.version, Tag: "two"}
	},
		wrong: func(o own) proto.Message {
			return &functions.SetFunctionTagRequest{FunctionVersionId: o.version, Tag: "2"}
		}, field: "tag"},
	{path: functionService + "ListTagHistory", right: historyRequest, wrong: badToken, field: "page_token"},
	{path: functionService + "ListFunctionTagHistory", right: historyRequest, wrong: badToken, field: "page_token"},
	{path: functionService + "RemoveTag", right: func(o own) proto.Message {
		return &functions.RemoveFunctionTagRequest{FunctionVersionId: o.version, Tag: "two"}
	},
		wrong: func(o own) proto.Message {
			return &functions.RemoveFunctionTagRequest{FunctionVersionId: o.version, Tag: "2"}
		}, field: "tag"},
	{path: functionService + "ListRuntimes", right: func(own) proto.Message { return &functions.ListRuntimesRequest{} }, open: true},
	{path: functionService + "ListOperations", right: func(o own) proto.Message { return &functions.ListFunctionOperationsRequest{FunctionId: o.function} },
		wrong: func(o own) proto.Message {
			return &functions.ListFunctionOperationsRequest{FunctionId: o.function, Filter: "x"}
		}, field: "filter"},
	{path: functionService + "SetAccessBindings", right: func(o own) proto.Message {
		return &cloudaccess.SetAccessBindingsRequest{ResourceId: o.function, AccessBindings: []*cloudaccess.AccessBinding{publicBinding}}
	}, wrong: func(o own) proto.Message {
		return &cloudaccess.SetAccessBindingsRequest{ResourceId: o.function, AccessBindings: []*cloudaccess.AccessBinding{{RoleId: "editor"}}}
	}, field: "access_bindings[0]"},
	{path: functionService + "UpdateAccessBindings", right: func(o own) proto.Message { return bindingDelta(o, cloudaccess.AccessBindingAction_ADD) },
		wrong: func(o own) proto.Message {
			return bindingDelta(o, cloudaccess.AccessBindingAction_ACCESS_BINDING_ACTION_UNSPECIFIED)
		},
		field: "access_binding_deltas[0].action"},
	{path: functionService + "ListAccessBindings", right: func(o own) proto.Message { return &cloudaccess.ListAccessBindingsRequest{ResourceId: o.function} },
		wrong: func(o own) proto.Message { return &cloudaccess.ListAccessBindingsRequest{} }, field: "resource_id"},
	{path: functionService + "ListScalingPolicies", right: func(o own) proto.Message { return &functions.ListScalingPoliciesRequest{FunctionId: o.function} },
		wrong: func(o own) proto.Message {
			return &functions.ListScalingPoliciesRequest{FunctionId: o.function, PageSize: -1}
		}, field: "page_size"},
	{path: functionService + "SetScalingPolicy", right: func(o own) proto.Message {
		return &functions.SetScalingPolicyRequest{FunctionId: o.function, Tag: "one", ZoneInstancesLimit: 3}
	}, wrong: func(o own) proto.Message {
		return &functions.SetScalingPolicyRequest{FunctionId: o.function, Tag: "one", ZoneInstancesLimit: -1}
	}, field: "zone_instances_limit"},
	{path: functionService + "RemoveScalingPolicy", right: func(o own) proto.Message {
		return &functions.RemoveScalingPolicyRequest{FunctionId: o.function, Tag: "one"}
	},
		wrong: func(own) proto.Message { return &functions.RemoveScalingPolicyRequest{} }, field: "function_id"},

	{path: triggerService + "Get", right: func(o own) proto.Message { return &triggers.GetTriggerRequest{TriggerId: o.trigger} }},
	{path: triggerService + "List", right: func(o own) proto.Message { return &triggers.ListTriggersRequest{FolderId: o.folder} },
		wrong: func(own) proto.Message { return &triggers.ListTriggersRequest{Filter: "x"} }, field: "filter"},
	{path: triggerService + "Create", right: func(o own) proto.Message {
		return &triggers.CreateTriggerRequest{FolderId: o.folder, Name: "tock", Rule: timer(o.function, "0 0 1 1 ? *")}
	}, wrong: func(o own) proto.Message {
		return &triggers.CreateTriggerRequest{Name: "tack", Rule: timer(o.function, "never")}
	}, field: "rule.timer.cron_expression"},
	{path: triggerService + "Update", right: func(o own) proto.Message {
		return &triggers.UpdateTriggerRequest{TriggerId: o.trigger, Description: "d"}
	},
		wrong: func(o own) proto.Message {
			mail := &triggers.Trigger_Rule{Rule: &triggers.Trigger_Rule_Mail{Mail: &triggers.Mail{}}}
			return &triggers.UpdateTriggerRequest{TriggerId: o.trigger, Rule: mail}
		}, field: "rule.mail"},
	{path: triggerService + "Pause", right: func(o own) proto.Message { return &triggers.PauseTriggerRequest{TriggerId: o.trigger} }},
	{path: triggerService + "Resume", right: func(o own) proto.Message { return &triggers.ResumeTriggerRequest{TriggerId: o.trigger} }},
	{path: triggerService + "ListOperations", right: func(o own) proto.Message { return &triggers.ListTriggerOperationsRequest{TriggerId: o.trigger} },
		wrong: func(o own) proto.Message {
			return &triggers.ListTriggerOperationsRequest{TriggerId: o.trigger, Filter: "x"}
		}, field: "filter"},

	{path: "/yandex.cloud.operation.OperationService/Get", right: func(o own) proto.Message { return &operation.GetOperationRequest{OperationId: o.operation} }},
	{path: logService + "Read", right: func(o own) proto.Message {
		return &logging.ReadRequest{Selector: &logging.ReadRequest_Criteria{Criteria: &logging.Criteria{LogGroupId: o.group}}}
	}, wrong: func(o own) proto.Message {
		return &logging.ReadRequest{Selector: &logging.ReadRequest_Criteria{Criteria: &logging.Criteria{LogGroupId: o.folder}}}
	}, field: "criteria.resource_ids"},

	{path: endpointService + "List", right: func(own) proto.Message { return &endpoint.ListApiEndpointsRequest{} }, open: true},
	{path: endpointService + "Get", right: func(own) proto.Message { return &endpoint.GetApiEndpointRequest{ApiEndpointId: "iam"} }, open: true},
	{path: tokenService + "CreateForServiceAccount", right: func(o own) proto.Message {
		return &iam.CreateIamTokenForServiceAccountRequest{ServiceAccountId: o.key}
	}, wrong: func(own) proto.Message { return &iam.CreateIamTokenForServiceAccountRequest{} }, field: "service_account_id"},
	{path: accountService + "Get", right: func(o own) proto.Message { return &iam.GetServiceAccountRequest{ServiceAccountId: o.key} }},
	{path: accountService + "List", right: func(o own) proto.Message { return &iam.ListServiceAccountsRequest{FolderId: o.folder} },
		wrong: func(own) proto.Message { return &iam.ListServiceAccountsRequest{PageToken: "!"} }, field: "page_token"},
	{path: accountService + "Create", right: func(o own) proto.Message {
		return &iam.CreateServiceAccountRequest{FolderId: o.folder, Name: "another", Labels: map[string]string{"a": "b"}}
	}, wrong: func(own) proto.Message { return &iam.CreateServiceAccountRequest{Name: "A"} }, field: "name"},
	{path: accountService + "Update", right: func(o own) proto.Message {
		return &iam.UpdateServiceAccountRequest{ServiceAccountId: o.account, Description: "d"}
	}, wrong: func(o own) proto.Message {
		return &iam.UpdateServiceAccountRequest{ServiceAccountId: o.account, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"id"}}}
	}, field: "update_mask"},
	{path: folderService + "SetAccessBindings", right: func(o own) proto.Message {
		return &cloudaccess.SetAccessBindingsRequest{ResourceId: o.folder, AccessBindings: []*cloudaccess.AccessBinding{accountBinding(o)}}
	}, wrong: func(o own) proto.Message {
		return &cloudaccess.SetAccessBindingsRequest{ResourceId: o.folder, AccessBindings: []*cloudaccess.AccessBinding{publicBinding}}
	}, field: "access_bindings[0]"},
	{path: folderService + "UpdateAccessBindings", right: func(o own) proto.Message { return folderDelta(o, cloudaccess.AccessBindingAction_REMOVE) },
		wrong: func(o own) proto.Message {
			return folderDelta(o, cloudaccess.AccessBindingAction_ACCESS_BINDING_ACTION_UNSPECIFIED)
		}, field: "access_binding_deltas[0].action"},
	{path: folderService + "ListAccessBindings", right: func(o own) proto.Message { return &cloudaccess.ListAccessBindingsRequest{ResourceId: o.folder} },
		wrong: func(own) proto.Message { return &cloudaccess.ListAccessBindingsRequest{} }, field: "resource_id"},
	{path: cloudService + "Get", right: func(own) proto.Message { return &resourcemanager.GetCloudRequest{CloudId: "default"} }, open: true},
	{path: cloudService + "List", right: func(own) proto.Message { return &resourcemanager.ListCloudsRequest{} },
		wrong: func(own) proto.Message { return &resourcemanager.ListCloudsRequest{PageSize: -1} }, field: "page_size", open: true},
	{path: folderService + "Get", right: func(o own) proto.Message { return &resourcemanager.GetFolderRequest{FolderId: o.folder} }},
	{path: folderService + "List", right: func(own) proto.Message { return &resourcemanager.ListFoldersRequest{CloudId: "default"} },
		wrong: func(own) proto.Message { return &resourcemanager.ListFoldersRequest{CloudId: "default", Filter: "x"} }, field: "filter", open: true},

	// What ends things comes last.
	{path: triggerService + "Delete", right: func(o own) proto.Message { return &triggers.DeleteTriggerRequest{TriggerId: o.trigger} }},
	{path: accountService + "Delete", right: func(o own) proto.Message { return &iam.DeleteServiceAccountRequest{ServiceAccountId: o.account} }},
	{path: functionService + "DeleteVersion", right: func(o own) proto.Message {
		return &functions.DeleteFunctionVersionRequest{FunctionVersionId: o.version, Force: true}
	}, wrong: noVersionToDelete, field: "function_version_id"},
	{path: functionService + "Delete", right: func(o own) proto.Message { return &functions.DeleteFunctionRequest{FunctionId: o.function} },
		wrong: func(own) proto.Message { return &functions.DeleteFunctionRequest{} }, field: "function_id"},
}

func newVersionOf(o own) proto.Message {
	return &functions.CreateFunctionVersionRequest{
		FunctionId: o.function, Runtime: "python313", Entrypoint: "main.handler",
		PackageSource: &functions.CreateFunctionVersionRequest_VersionId{VersionId: o.version},
	}
}

func newVersionOfTooMuch(o own) proto.Message {
	r := newVersionOf(o).(*functions.CreateFunctionVersionRequest)
	r.Resources = &functions.Resources{Memory: 5}
	return r
}

func versionRequest(o own) proto.Message {
	return &functions.GetFunctionVersionRequest{FunctionVersionId: o.version}
}
func noVersion(own) proto.Message         { return &functions.GetFunctionVersionRequest{} }
func noVersionToDelete(own) proto.Message { return &functions.DeleteFunctionVersionRequest{} }

func tagRequest(o own) proto.Message {
	return &functions.GetFunctionVersionByTagRequest{FunctionId: o.function, Tag: "one"}
}
func noTag(own) proto.Message { return &functions.GetFunctionVersionByTagRequest{Tag: "one"} }

func versionsRequest(o own) proto.Message {
	return &functions.ListFunctionsVersionsRequest{Id: &functions.ListFunctionsVersionsRequest_FunctionId{FunctionId: o.function}}
}

func manyVersions(own) proto.Message { return &functions.ListFunctionsVersionsRequest{PageSize: 5000} }

func historyRequest(o own) proto.Message {
	return &functions.ListFunctionTagHistoryRequest{FunctionId: o.function, Tag: "one"}
}

func badToken(o own) proto.Message {
	return &functions.ListFunctionTagHistoryRequest{FunctionId: o.function, PageToken: "!"}
}

func accountBinding(o own) *cloudaccess.AccessBinding {
	return &cloudaccess.AccessBinding{RoleId: "storage.viewer", Subject: &cloudaccess.Subject{Id: o.account, Type: "serviceAccount"}}
}

func folderDelta(o own, action cloudaccess.AccessBindingAction) proto.Message {
	return &cloudaccess.UpdateAccessBindingsRequest{ResourceId: o.folder, AccessBindingDeltas: []*cloudaccess.AccessBindingDelta{
		{Action: action, AccessBinding: accountBinding(o)},
	}}
}

func bindingDelta(o own, action cloudaccess.AccessBindingAction) proto.Message {
	return &cloudaccess.UpdateAccessBindingsRequest{ResourceId: o.function, AccessBindingDeltas: []*cloudaccess.AccessBindingDelta{
		{Action: action, AccessBinding: publicBinding},
	}}
}

// Each method does what is right, says which field is wrong, and knows neither what is
// missing nor what another tenant has; nor a caller without a key or with too low a role.
func TestMethods(t *testing.T) {
	s := startServer(t)
	ours, theirs := s.newKey("acme", access.RoleAdmin), s.newKey("umbrella", access.RoleAdmin)
	conn, unknown, invoker := s.dial(ours), s.dial(""), s.dial(s.newKey("acme", access.RoleInvoker))
	mine, foreign := s.furnish(conn, "acme", ours), s.furnish(s.dial(theirs), "umbrella", theirs)
	asked := map[string]bool{}
	for _, m := range methods {
		asked[m.path] = true
		code := func(conn *grpc.ClientConn, in proto.Message) (codes.Code, error) {
			_, err := invoke(t.Context(), conn, m.path, in)
			return status.Code(err), err
		}
		if m.wrong != nil {
			got, err := code(conn, m.wrong(mine))
			if fields := violations(err); got != codes.InvalidArgument || !slices.Equal(fields, []string{m.field}) {
				t.Errorf("%s: what is wrong: got %v with the fields %v, want %s", m.path, err, fields, m.field)
			}
		}
		if !m.open {
			for what, o := range map[string]own{"missing": missing, "another tenant's": foreign} {
				out, err := invoke(t.Context(), conn, m.path, m.right(o))
				if m.lists && err == nil && proto.Size(out) == 0 {
					continue
				}
				if status.Code(err) != codes.NotFound {
					t.Errorf("%s: what is %s: got %v, %v", m.path, what, out, err)
				}
			}
		}
		if !strings.HasPrefix(m.path, endpointService) {
			if got, err := code(unknown, m.right(mine)); got != codes.Unauthenticated {
				t.Errorf("%s: without a key: got %v", m.path, err)
			}
			if strings.HasPrefix(m.path, functionService) || strings.HasPrefix(m.path, triggerService) {
				if got, err := code(invoker, m.right(mine)); got != codes.PermissionDenied {
					t.Errorf("%s: with too low a role: got %v", m.path, err)
				}
			}
		}
		out, err := invoke(t.Context(), conn, m.path, m.right(mine))
		if err != nil {
			t.Errorf("%s: %v", m.path, err)
			continue
		}
		op, ok := out.(*operation.Operation)
		if ok && (!op.Done || op.GetResponse() == nil || op.Metadata == nil || op.CreatedBy == "") {
			t.Errorf("%s: got %v", m.path, op)
		}
		if ok && !strings.HasSuffix(m.path, "OperationService/Get") { // which tells of all kinds
			promised := proto.GetExtension(descriptor(t, m.path).Options(), api.E_Operation).(*api.Operation)
			metadata, response := string(op.Metadata.MessageName().Name()), string(op.GetResponse().MessageName())
			if want := promised.Metadata[strings.LastIndexByte(promised.Metadata, '.')+1:]; metadata != want ||
				!strings.HasSuffix(response, promised.Response) {
				t.Errorf("%s: got %s with %s, the definition promises %v", m.path, response, metadata, promised)
			}
		}
	}
	for _, path := range s.rpc.Methods() {
		// These have tests of their own.
		if !asked[path] && path != tokenService+"Create" && path != cancelPath && !strings.HasPrefix(path, "/grpc.") {
			t.Errorf("%s: no test asks for it", path)
		}
	}
}

const cancelPath = "/yandex.cloud.operation.OperationService/Cancel"

// There is nothing to cancel: the answer says why.
func TestCancel(t *testing.T) {
	s := startServer(t)
	key, foreign := s.newKey("acme", access.RoleAdmin), s.newKey("umbrella", access.RoleAdmin)
	id := s.furnish(s.dial(key), "acme", key).operation
	for _, c := range []struct {
		key, id string
		want    codes.Code
	}{
		{key, id, codes.FailedPrecondition}, {key, nothing, codes.NotFound}, {key, "", codes.NotFound},
		{foreign, id, codes.NotFound}, {"", id, codes.Unauthenticated},
	} {
		_, err := invoke(t.Context(), s.dial(c.key), cancelPath, &operation.CancelOperationRequest{OperationId: c.id})
		if status.Code(err) != c.want {
			t.Errorf("%q: got %v, want %s", c.id, err, c.want)
		}
	}
}

// What tools set they find again: roles of a service account on its folder and on a
// function, which end with it, and with the function.
func TestBindings_OfServiceAccounts(t *testing.T) {
	s := startServer(t)
	key := s.newKey("acme", access.RoleAdmin)
	conn := s.dial(key)
	o := s.furnish(conn, "acme", key)
	do := func(path string, in proto.Message) proto.Message {
		t.Helper()
		out, err := invoke(t.Context(), conn, path, in)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		return out
	}
	bound := func(service, resource string) (all []string) {
		t.Helper()
		r := do(service+"ListAccessBindings", &cloudaccess.ListAccessBindingsRequest{ResourceId: resource}).(*cloudaccess.ListAccessBindingsResponse)
		for _, b := range r.AccessBindings {
			all = append(all, b.RoleId+" "+b.Subject.Type+":"+b.Subject.Id)
		}
		return all
	}
	deltas := func(resource string, action cloudaccess.AccessBindingAction, roles ...string) proto.Message {
		r := &cloudaccess.UpdateAccessBindingsRequest{ResourceId: resource}
		for _, role := range roles {
			b := accountBinding(o)
			b.RoleId = role
			r.AccessBindingDeltas = append(r.AccessBindingDeltas, &cloudaccess.AccessBindingDelta{Action: action, AccessBinding: b})
		}
		return r
	}
	me := " serviceAccount:" + o.account
	const invoker = "functions.functionInvoker"
	for _, step := range []struct {
		service, resource string
		request           func() (string, proto.Message)
		want              []string
	}{
		{folderService, o.folder, func() (string, proto.Message) {
			return "UpdateAccessBindings", deltas(o.folder, cloudaccess.AccessBindingAction_ADD, "storage.viewer", "ydb.editor", "storage.viewer")
		}, []string{"storage.viewer" + me, "ydb.editor" + me}},
		{folderService, o.folder, func() (string, proto.Message) {
			return "UpdateAccessBindings", deltas(o.folder, cloudaccess.AccessBindingAction_REMOVE, "ydb.editor", "never.given")
		}, []string{"storage.viewer" + me}},
		{functionService, o.function, func() (string, proto.Message) {
			return "UpdateAccessBindings", deltas(o.function, cloudaccess.AccessBindingAction_ADD, invoker)
		}, []string{invoker + me}},
		{functionService, o.function, func() (string, proto.Message) {
			return "SetAccessBindings", &cloudaccess.SetAccessBindingsRequest{
				ResourceId: o.function, AccessBindings: []*cloudaccess.AccessBinding{publicBinding},
			}
		}, []string{invoker + " system:allUsers"}},
		{folderService, o.folder, func() (string, proto.Message) {
			return "SetAccessBindings", &cloudaccess.SetAccessBindingsRequest{ResourceId: o.folder}
		}, nil},
		{folderService, o.folder, func() (string, proto.Message) {
			return "UpdateAccessBindings", deltas(o.folder, cloudaccess.AccessBindingAction_ADD, "storage.viewer")
		}, []string{"storage.viewer" + me}},
	} {
		method, in := step.request()
		do(step.service+method, in)
		if got := bound(step.service, step.resource); !slices.Equal(got, step.want) {
			t.Errorf("%s %v: got %q, want %q", method, in, got, step.want)
		}
	}
	for what, in := range map[string]proto.Message{
		"another tenant's account": func() proto.Message {
			r := deltas(o.function, cloudaccess.AccessBindingAction_ADD, invoker).(*cloudaccess.UpdateAccessBindingsRequest)
			theirs := s.newKey("umbrella", access.RoleAdmin)
			r.AccessBindingDeltas[0].AccessBinding.Subject.Id = s.furnish(s.dial(theirs), "umbrella", theirs).account
			return r
		}(),
		"a role that functions don't have": deltas(o.function, cloudaccess.AccessBindingAction_ADD, "storage.viewer"),
	} {
		if out, err := invoke(t.Context(), conn, functionService+"UpdateAccessBindings", in); err == nil {
			t.Errorf("%s: got %v", what, out)
		}
	}
	do(accountService+"Delete", &iam.DeleteServiceAccountRequest{ServiceAccountId: o.account})
	if got := bound(folderService, o.folder); got != nil {
		t.Errorf("after the account: got %q", got)
	}
	do(folderService+"UpdateAccessBindings", deltas(o.folder, cloudaccess.AccessBindingAction_REMOVE, "storage.viewer")) // as tools do in any order
}

// violations returns the fields that an error says break rules.
func violations(err error) []string {
	var fields []string
	for _, d := range status.Convert(err).Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			for _, v := range bad.FieldViolations {
				fields = append(fields, v.Field)
			}
		}
	}
	return fields
}

func TestUnservedMethods_SayWhatIsThere(t *testing.T) {
	s := startPlain(t)
	conn := s.dial("")
	for path, want := range map[string]string{
		"/yandex.cloud.operation.OperationService/List":             "there are: Cancel, Get",
		"/yandex.cloud.iam.v1.ServiceAccountService/ListOperations": "there are: Create, Delete, Get, List, Update",
		"/yandex.cloud.compute.v1.InstanceService/List":             "yandex.cloud.serverless.functions.v1.FunctionService",
		functionService + "create":                                  "CreateVersion",
		functionService + "Create/x":                                "CreateVersion",
		"/functions/v1/functions":                                   "there are: ",
		"/yandex.cloud.serverless.functions.v1.FunctionService%2F":  "there are: ",
	} {
		err := conn.Invoke(t.Context(), path, &functions.ListRuntimesRequest{}, &functions.ListRuntimesResponse{})
		if status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", path, err)
		}
	}
}
