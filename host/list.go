package host

import (
	"encoding/base64"
	"regexp"
	"slices"
	"strings"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/fault"
)

// Page sizes of lists (contract §10).
const (
	DefaultPageSize = 100
	MaxPageSize     = 1000
)

// within says if what a tenant has belongs into the list of one, or of all.
func within(list, tenant string) bool { return access.Principal{Tenant: list}.ActsFor(tenant) }

// nameFilter is the one expression that a list of functions can be filtered by.
var nameFilter = regexp.MustCompile(`^\s*name\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"']+))\s*$`)

// ListFunctions lists the functions of a tenant, or of all, in order of name and
// id, a page at a time. The token of the next page is empty on the last one. The
// filter is empty or name="…".
//
// # Errors
//
// *InvalidError.
func (h *Host) ListFunctions(tenant string, pageSize int, pageToken, filter string) (page []catalog.FunctionInfo, next string, err error) {
	all := slices.DeleteFunc(h.Functions(), func(f catalog.FunctionInfo) bool { return !within(tenant, f.Tenant) })
	if filter != "" {
		m := nameFilter.FindStringSubmatch(filter)
		if m == nil {
			return nil, "", fault.Invalidf("filter", "%.80q must be empty or name=\"…\"", filter)
		}
		name := m[1] + m[2] + m[3]
		all = slices.DeleteFunc(all, func(f catalog.FunctionInfo) bool { return f.Name != name })
	}
	return paginate(all, pageSize, pageToken, func(f catalog.FunctionInfo) string { return f.Name + "\x00" + f.ID })
}

// paginate cuts a page out of a list that is sorted by key. The token is the
// last key of the page before, so lists may change between two pages.
func paginate[T any](all []T, size int, token string, key func(T) string) (page []T, next string, err error) {
	if size == 0 {
		size = DefaultPageSize
	}
	if size < 0 || size > MaxPageSize {
		return nil, "", fault.Invalidf("page_size", "%d must be between 1 and %d", size, MaxPageSize)
	}
	after, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return nil, "", fault.Invalidf("page_token", "%.80q is not one that a list has returned", token)
	}
	start := 0
	if token != "" {
		start, _ = slices.BinarySearchFunc(all, string(after), func(e T, k string) int {
			if strings.Compare(key(e), k) <= 0 {
				return -1
			}
			return 1
		})
	}
	all = all[start:]
	if len(all) <= size {
		return all, "", nil
	}
	return all[:size], base64.RawURLEncoding.EncodeToString([]byte(key(all[size-1]))), nil
}
