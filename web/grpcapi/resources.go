package grpcapi

import (
	"context"
	"maps"
	"slices"

	"github.com/yandex-cloud/go-genproto/yandex/cloud/iam/v1"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/resourcemanager/v1"
	"google.golang.org/protobuf/types/known/timestamppb"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
	"vivarium/web/manage"
)

// cloudID is the one cloud that there is; the events of timers name it, too.
const cloudID = access.DefaultTenant

func (s *Server) cloudMethods() map[string]method {
	cloud := &resourcemanager.Cloud{Id: cloudID, Name: cloudID}
	return map[string]method{
		"Get": unary("Folders", func(_ context.Context, in *resourcemanager.GetCloudRequest) (*resourcemanager.Cloud, error) {
			if in.CloudId != cloudID {
				return nil, &fault.NotFoundError{Thing: "cloud", Name: in.CloudId}
			}
			return cloud, nil
		}),
		"List": unary("Folders", func(_ context.Context, in *resourcemanager.ListCloudsRequest) (*resourcemanager.ListCloudsResponse, error) {
			clouds, next, err := page([]*resourcemanager.Cloud{cloud}, in, (*resourcemanager.Cloud).GetName)
			return &resourcemanager.ListCloudsResponse{Clouds: clouds, NextPageToken: next}, err
		}),
	}
}

func (s *Server) folderMethods() map[string]method {
	return map[string]method{
		"ListAccessBindings":   unary("ServiceAccounts", s.listFolderBindings),
		"SetAccessBindings":    unary("BindServiceAccounts", s.setFolderBindings),
		"UpdateAccessBindings": unary("BindServiceAccounts", s.updateFolderBindings),
		"Get": unary("Folders", func(ctx context.Context, in *resourcemanager.GetFolderRequest) (*resourcemanager.Folder, error) {
			if catalog.ValidateTenant("folder_id", in.FolderId) != nil || !access.PrincipalOf(ctx).ActsFor(in.FolderId) {
				return nil, &fault.NotFoundError{Thing: "folder", Name: in.FolderId}
			}
			return newFolder(in.FolderId), nil
		}),
		"List": unary("Folders", func(ctx context.Context, in *resourcemanager.ListFoldersRequest) (*resourcemanager.ListFoldersResponse, error) {
			if in.CloudId != cloudID {
				return nil, &fault.NotFoundError{Thing: "cloud", Name: in.CloudId}
			}
			all, err := s.folders(access.PrincipalOf(ctx))
			if err != nil {
				return nil, err
			}
			folders, next, err := page(all, in, (*resourcemanager.Folder).GetName)
			return &resourcemanager.ListFoldersResponse{Folders: folders, NextPageToken: next}, err
		}),
	}
}

// folders returns the caller's, and those within reach that have functions: a folder is a
// tenant, and of tenants nobody keeps a list.
func (s *Server) folders(p access.Principal) ([]*resourcemanager.Folder, error) {
	tenants := map[string]bool{p.Home(): true}
	if p.Tenant == access.AllTenants && p.Allow("Use") == nil {
		use, err := s.host.Catalog().Use(p)
		if err != nil {
			return nil, err
		}
		for tenant := range use {
			tenants[tenant] = true
		}
	}
	all := []*resourcemanager.Folder{}
	for _, tenant := range slices.Sorted(maps.Keys(tenants)) {
		all = append(all, newFolder(tenant))
	}
	return all, nil
}

func newFolder(tenant string) *resourcemanager.Folder {
	return &resourcemanager.Folder{Id: tenant, CloudId: cloudID, Name: tenant, Status: resourcemanager.Folder_ACTIVE}
}

func (s *Server) serviceAccountMethods() map[string]method {
	return map[string]method{
		"Create": unary("CreateServiceAccount", s.createAccount),
		"Update": unary("UpdateServiceAccount", s.updateAccount),
		"Delete": unary("DeleteServiceAccount", s.deleteAccount),
		"Get": unary("Folders", func(ctx context.Context, in *iam.GetServiceAccountRequest) (*iam.ServiceAccount, error) {
			all, err := s.serviceAccounts(access.PrincipalOf(ctx))
			if err != nil {
				return nil, err
			}
			for _, account := range all {
				if account.Id == in.ServiceAccountId {
					return account, nil
				}
			}
			return nil, &fault.NotFoundError{Thing: "service account", Name: in.ServiceAccountId}
		}),
		"List": unary("Folders", func(ctx context.Context, in *iam.ListServiceAccountsRequest) (*iam.ListServiceAccountsResponse, error) {
			p, err := within(ctx, in.FolderId)
			if err != nil {
				return nil, err
			}
			all, err := s.serviceAccounts(p)
			if err != nil {
				return nil, err
			}
			accounts, next, err := page(all, in, (*iam.ServiceAccount).GetName)
			return &iam.ListServiceAccountsResponse{ServiceAccounts: accounts, NextPageToken: next}, err
		}),
	}
}

// serviceAccounts returns those within the caller's reach, by id: those that were made, the
// keys that it may see, and the other names that versions have.
func (s *Server) serviceAccounts(p access.Principal) ([]*iam.ServiceAccount, error) {
	found := map[string]*iam.ServiceAccount{}
	if p.Allow("Versions") == nil {
		versions, err := s.host.Catalog().Versions(p, "")
		if err != nil {
			return nil, err
		}
		for _, v := range versions {
			if id := v.ServiceAccountID; id != "" {
				found[id] = &iam.ServiceAccount{Id: id, FolderId: v.Tenant, Name: id}
			}
		}
	}
	if p.KeyID != "" {
		found[p.KeyID] = &iam.ServiceAccount{Id: p.KeyID, FolderId: p.Home(), Name: p.KeyID}
	}
	if p.Allow("ListKeys") == nil {
		keys, err := s.host.Keys().List(p)
		if err != nil {
			return nil, err
		}
		for _, k := range keys {
			found[k.ID] = &iam.ServiceAccount{
				Id: k.ID, FolderId: access.Principal{Tenant: k.Tenant}.Home(), Name: k.ID, Description: k.Description,
				CreatedAt: timestamppb.New(k.CreatedAt),
			}
		}
	}
	if p.Allow("ServiceAccounts") == nil {
		made, err := s.host.Accounts().ServiceAccounts(p)
		if err != nil {
			return nil, err
		}
		for _, a := range made {
			found[a.ID] = newServiceAccount(a)
		}
	}
	all := []*iam.ServiceAccount{}
	for _, id := range slices.Sorted(maps.Keys(found)) {
		all = append(all, found[id])
	}
	return all, nil
}

// within returns the caller as it acts within a folder; everywhere when the folder is empty.
//
// # Errors
//
// *fault.NotFoundError for a folder that the caller does not act for.
func within(ctx context.Context, folder string) (access.Principal, error) {
	p := access.PrincipalOf(ctx)
	switch {
	case folder == "":
		return p, nil
	case !p.ActsFor(folder):
		return p, &fault.NotFoundError{Thing: "folder", Name: folder}
	}
	return p.In(folder), nil
}

// listRequest is a request for a page of a list that can be filtered by name.
type listRequest interface {
	GetPageSize() int64
	GetPageToken() string
	GetFilter() string
}

// page returns the part of a list that a request asks for, in order of name.
func page[T any](all []T, in listRequest, name func(T) string) (items []T, next string, err error) {
	if all, err = manage.Filter(all, in.GetFilter(), name); err != nil {
		return nil, "", err
	}
	size, err := pageSize(in.GetPageSize())
	if err != nil {
		return nil, "", err
	}
	return manage.Page(all, size, in.GetPageToken(), name)
}

func pageSize(n int64) (int, error) {
	if n < 0 || n > manage.MaxPage {
		return 0, fault.Invalidf("page_size", "must be a number from 0 to %d", manage.MaxPage)
	}
	return int(n), nil
}
