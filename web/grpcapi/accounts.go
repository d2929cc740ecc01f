package grpcapi

import (
	"context"
	"fmt"
	"slices"
	"time"

	cloudaccess "github.com/yandex-cloud/go-genproto/yandex/cloud/access"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/iam/v1"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/protobuf/types/known/timestamppb"

	"vivarium/host/access"
	"vivarium/host/accounts"
	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/web/manage"
)

func newServiceAccount(a accounts.Account) *iam.ServiceAccount {
	return &iam.ServiceAccount{
		Id: a.ID, FolderId: a.Tenant, Name: a.Name, Description: a.Description, Labels: a.Labels, CreatedAt: timestamppb.New(a.CreatedAt),
	}
}

func (s *Server) createAccount(ctx context.Context, in *iam.CreateServiceAccountRequest) (*operation.Operation, error) {
	started := time.Now().UTC()
	p, err := within(ctx, in.FolderId)
	if err != nil {
		return nil, err
	}
	a, err := s.host.Accounts().CreateServiceAccount(ctx, p, accounts.Spec{Name: in.Name, Description: in.Description, Labels: in.Labels})
	if err != nil {
		return nil, err
	}
	return s.accountDone(ctx, "Create service account", "CreateServiceAccountMetadata", started, a, a)
}

func (s *Server) updateAccount(ctx context.Context, in *iam.UpdateServiceAccountRequest) (*operation.Operation, error) {
	started := time.Now().UTC()
	changes, err := maskOf(in, "name", "description", "labels")
	if err != nil {
		return nil, err
	}
	a, err := s.host.Accounts().UpdateServiceAccount(ctx, access.PrincipalOf(ctx), in.ServiceAccountId, func(spec *accounts.Spec) {
		if slices.Contains(changes, "name") {
			spec.Name = in.Name
		}
		if slices.Contains(changes, "description") {
			spec.Description = in.Description
		}
		if slices.Contains(changes, "labels") {
			spec.Labels = in.Labels
		}
	})
	if err != nil {
		return nil, err
	}
	return s.accountDone(ctx, "Update service account", "UpdateServiceAccountMetadata", started, a, a)
}

func (s *Server) deleteAccount(ctx context.Context, in *iam.DeleteServiceAccountRequest) (*operation.Operation, error) {
	started := time.Now().UTC()
	a, err := s.host.Accounts().DeleteServiceAccount(ctx, access.PrincipalOf(ctx), in.ServiceAccountId)
	if err != nil {
		return nil, err
	}
	return s.accountDone(ctx, "Delete service account", "DeleteServiceAccountMetadata", started, a, nil)
}

func (s *Server) accountDone(
	ctx context.Context, description, kind string, started time.Time, a accounts.Account, response any,
) (*operation.Operation, error) {
	return s.operation(ctx, s.desk.Operations.Done(ctx, manage.Change{
		Description: description, Kind: "yandex.cloud.iam.v1." + kind, IDs: map[string]string{"serviceAccountId": a.ID},
		By: access.PrincipalOf(ctx), Started: started, Tenant: a.Tenant, About: a.ID,
	}, response))
}

// folderOf returns the caller as it acts within a folder that bindings are about.
func folderOf(ctx context.Context, id string) (access.Principal, error) {
	if id == "" {
		return access.Principal{}, fault.Invalidf("resource_id", "is missing")
	}
	if catalog.ValidateTenant("resource_id", id) != nil {
		return access.Principal{}, &fault.NotFoundError{Thing: "folder", Name: id}
	}
	return within(ctx, id)
}

func (s *Server) listFolderBindings(
	ctx context.Context, in *cloudaccess.ListAccessBindingsRequest,
) (*cloudaccess.ListAccessBindingsResponse, error) {
	p, err := folderOf(ctx, in.ResourceId)
	if err != nil {
		return nil, err
	}
	all, err := s.host.Accounts().Bindings(p, in.ResourceId)
	if err != nil {
		return nil, err
	}
	size, err := pageSize(in.PageSize)
	if err != nil {
		return nil, err
	}
	bound, next, err := manage.Page(all, size, in.PageToken, func(b accounts.Binding) string { return b.AccountID + "\x00" + b.Role })
	answer := &cloudaccess.ListAccessBindingsResponse{NextPageToken: next}
	for _, b := range bound {
		answer.AccessBindings = append(answer.AccessBindings, newBinding(b))
	}
	return answer, err
}

func (s *Server) setFolderBindings(ctx context.Context, in *cloudaccess.SetAccessBindingsRequest) (*operation.Operation, error) {
	bindings := []accounts.Binding{}
	for i, b := range in.AccessBindings {
		bound, err := folderBinding(fmt.Sprintf("access_bindings[%d]", i), b)
		if err != nil {
			return nil, err
		}
		bindings = append(bindings, bound)
	}
	return s.bindFolder(ctx, "Set access bindings", "SetAccessBindingsMetadata", in.ResourceId, bindings, nil, true)
}

func (s *Server) updateFolderBindings(ctx context.Context, in *cloudaccess.UpdateAccessBindingsRequest) (*operation.Operation, error) {
	var add, remove []accounts.Binding
	for i, d := range in.AccessBindingDeltas {
		field := fmt.Sprintf("access_binding_deltas[%d]", i)
		bound, err := folderBinding(field+".access_binding", d.AccessBinding)
		if err != nil {
			return nil, err
		}
		switch d.Action {
		case cloudaccess.AccessBindingAction_ADD:
			add = append(add, bound)
		case cloudaccess.AccessBindingAction_REMOVE:
			remove = append(remove, bound)
		default:
			return nil, fault.Invalidf(field+".action", "must be ADD or REMOVE")
		}
	}
	return s.bindFolder(ctx, "Update access bindings", "UpdateAccessBindingsMetadata", in.ResourceId, add, remove, false)
}

// accountSubject is the type of subjects that are service accounts.
const accountSubject = "serviceAccount"

// folderBinding returns what a binding says of a service account.
func folderBinding(field string, b *cloudaccess.AccessBinding) (accounts.Binding, error) {
	if b.GetSubject().GetType() != accountSubject {
		return accounts.Binding{}, fault.Invalidf(field,
			"must have a subject of the type serviceAccount; who else may do something in a folder has a key of it")
	}
	return accounts.Binding{AccountID: b.Subject.Id, Role: b.RoleId}, nil
}

func (s *Server) bindFolder(
	ctx context.Context, description, kind, folder string, add, remove []accounts.Binding, only bool,
) (*operation.Operation, error) {
	started := time.Now().UTC()
	p, err := folderOf(ctx, folder)
	if err != nil {
		return nil, err
	}
	changes, err := s.host.Accounts().BindServiceAccounts(ctx, p, folder, add, remove, only)
	if err != nil {
		return nil, err
	}
	return s.operation(ctx, s.desk.Operations.Done(ctx, manage.Change{
		Description: description, Kind: "yandex.cloud.access." + kind, IDs: map[string]string{"resourceId": folder},
		By: p, Started: started, Tenant: folder,
	}, changes))
}

func newBinding(b accounts.Binding) *cloudaccess.AccessBinding {
	return &cloudaccess.AccessBinding{RoleId: b.Role, Subject: &cloudaccess.Subject{Id: b.AccountID, Type: accountSubject}}
}

func newBindingsResult(c accounts.Changes) *cloudaccess.AccessBindingsOperationResult {
	result := &cloudaccess.AccessBindingsOperationResult{}
	add := func(action cloudaccess.AccessBindingAction, bindings []accounts.Binding) {
		for _, b := range bindings {
			delta := &cloudaccess.AccessBindingDelta{Action: action, AccessBinding: newBinding(b)}
			result.EffectiveDeltas = append(result.EffectiveDeltas, delta)
		}
	}
	add(cloudaccess.AccessBindingAction_REMOVE, c.Removed)
	add(cloudaccess.AccessBindingAction_ADD, c.Added)
	return result
}
