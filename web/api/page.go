package api

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Sizes of pages (contract §10).
const (
	defaultPage = 100
	maxPage     = 1000
)

// page returns the size and the token that the query asks for; both may be
// missing.
func (q *request) page() (size int, token string, err error) {
	size, err = q.number("pageSize", maxPage)
	return size, q.query.Get("pageToken"), err
}

// page cuts the part out of a list that the query asks for. The token of the
// next part is the key of the last item of this one, so what comes or goes
// meanwhile shifts nothing.
func page[T any](q *request, all []T, key func(T) string) (items []T, next string, err error) {
	size, token, err := q.page()
	if err != nil {
		return nil, "", err
	}
	if size == 0 {
		size = defaultPage
	}
	sorted := func(a, b T) int { return strings.Compare(key(a), key(b)) }
	if !slices.IsSortedFunc(all, sorted) { // most are, and keys take time to make
		slices.SortStableFunc(all, sorted)
	}
	if token != "" {
		after, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil {
			return nil, "", invalid("pageToken", "must be the nextPageToken of an earlier answer")
		}
		all = all[firstAfter(all, string(after), key):]
	}
	if len(all) <= size {
		return all, "", nil
	}
	return all[:size], base64.RawURLEncoding.EncodeToString([]byte(key(all[size-1]))), nil
}

// firstAfter returns the index of the first item whose key is greater.
func firstAfter[T any](all []T, after string, key func(T) string) int {
	i := slices.IndexFunc(all, func(item T) bool { return key(item) > after })
	if i < 0 {
		return len(all)
	}
	return i
}

// newestFirst returns a text that sorts later the older t is.
func newestFirst(t time.Time) string { return fmt.Sprintf("%020d ", 1<<62-t.UnixNano()) }

// number returns a number of the query, from 0 to most; 0 when it is missing.
func (q *request) number(name string, most int) (int, error) {
	text := q.query.Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > most {
		return 0, invalid(name, fmt.Sprintf("must be a number from 0 to %d", most))
	}
	return n, nil
}
