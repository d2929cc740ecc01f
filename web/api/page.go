package api

import (
	"fmt"
	"strconv"
	"time"

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

// moment returns a parameter that is a time; the zero time when it is absent.
func (q *request) moment(name string) (time.Time, error) {
	text := q.query.Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return at, invalid(name, "must be a time as RFC 3339 has it, such as 2026-01-02T15:04:05Z")
	}
	return at, nil
}

// flag returns a parameter that is true or false; false when it is absent.
func (q *request) flag(name string) (bool, error) {
	switch q.query.Get(name) {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, invalid(name, "must be true or false")
}
