package api

import (
	"fmt"
	"strconv"

	"vivarium/web/manage"
)

// page cuts the part out of a list that the query asks for, see manage.Page.
func page[T any](q *request, all []T, key func(T) string) (items []T, next string, err error) {
	size, err := q.number("pageSize", manage.MaxPage)
	if err != nil {
		return nil, "", err
	}
	return manage.Page(all, size, q.query.Get("pageToken"), key)
}

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
