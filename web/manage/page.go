package manage

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"vivarium/host/catalog"
	"vivarium/host/fault"
)

// Sizes of pages (contract §10).
const (
	DefaultPage = 100
	MaxPage     = 1000
)

// Page cuts the part out of a list that a request asks for; size 0 means DefaultPage.
// The token of the next part is the key of the last item of this one, so what comes or
// goes meanwhile shifts nothing.
//
// # Errors
//
// *fault.InvalidError for a token that no page had.
func Page[T any](all []T, size int, token string, key func(T) string) (items []T, next string, err error) {
	if size == 0 {
		size = DefaultPage
	}
	sorted := func(a, b T) int { return strings.Compare(key(a), key(b)) }
	if !slices.IsSortedFunc(all, sorted) { // most are, and keys take time to make
		slices.SortStableFunc(all, sorted)
	}
	if token != "" {
		after, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil {
			return nil, "", fault.Invalidf("page_token", "must be the next page's token of an earlier answer")
		}
		all = all[firstAfter(all, string(after), key):]
	}
	if len(all) <= size {
		return all, "", nil
	}
	return all[:size], TokenAfter(key(all[size-1])), nil
}

// TokenAfter returns the token of the page that begins after the item with a key.
func TokenAfter(key string) string { return base64.RawURLEncoding.EncodeToString([]byte(key)) }

// firstAfter returns the index of the first item whose key is greater.
func firstAfter[T any](all []T, after string, key func(T) string) int {
	i := slices.IndexFunc(all, func(item T) bool { return key(item) > after })
	if i < 0 {
		return len(all)
	}
	return i
}

// NewestFirst returns a text that sorts later the older t is.
func NewestFirst(t time.Time) string { return fmt.Sprintf("%020d ", 1<<62-t.UnixNano()) }

// FunctionKey returns what pages of functions are in order of: name and id.
func FunctionKey(f catalog.FunctionInfo) string { return f.Name + "\x00" + f.ID }

// VersionKey is what FunctionKey is, for versions, newest first.
func VersionKey(v catalog.VersionInfo) string { return NewestFirst(v.CreatedAt) + v.ID }

// TagEventKey is what FunctionKey is, for the entries of a tag history, newest first.
func TagEventKey(e catalog.TagEvent) string { return NewestFirst(e.From) + e.Tag + e.VersionID }

// OperationKey is what FunctionKey is, for operations, newest first.
func OperationKey(o *Operation) string { return NewestFirst(o.CreatedAt) + o.ID }

// nameFilter is the one expression that a list can be filtered by.
var nameFilter = regexp.MustCompile(`^\s*name\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"']+))\s*$`)

// Filter returns the items that an expression is true of; all when it is empty.
//
// # Errors
//
// *fault.InvalidError.
func Filter[T any](all []T, expression string, name func(T) string) ([]T, error) {
	if expression == "" {
		return all, nil
	}
	m := nameFilter.FindStringSubmatch(expression)
	if m == nil {
		return nil, fault.Invalidf("filter", "%.80q must be empty or name=\"…\"", expression)
	}
	wanted := m[1] + m[2] + m[3]
	return slices.DeleteFunc(all, func(item T) bool { return name(item) != wanted }), nil
}
