package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"vivarium/host/fault"
	"vivarium/host/quota"
)

func TestStatusOf_TellsWhoseFaultItIs(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		code   Code
		want   string
	}{
		{&fault.InvalidError{Field: "execution_timeout", Rule: "is wrong"}, 400, 3, "executionTimeout: is wrong"},
		{&fault.InvalidError{Field: "async_invocation_config.retries_count", Rule: "is wrong"}, 400, 3, "asyncInvocationConfig.retriesCount: is wrong"},
		{&fault.InvalidError{Field: `environment variable "a_b"`, Rule: "is wrong"}, 400, 3, `environment variable "a_b": is wrong`},
		{&fault.NotFoundError{Function: "x"}, 404, 5, "function x not found"},
		{fmt.Errorf("delete: %w", &fault.ConflictError{Thing: "function", Name: "x", Reason: "is being deleted"}), 409, 10, "function x is being deleted"},
		{fmt.Errorf("put: %w", fault.ErrUnavailable), 503, 14, "the store can't be reached or has no room; try again"},
		{fmt.Errorf("x: %w", &quota.Error{Tenant: "ours", Quota: quota.CodeBytes, Limit: 5}), 429, 8,
			"tenant ours has used up its quota of codeBytes, 5: delete versions, or raise it with: vivarium tenant quota ours --code-bytes N"},
		{fault.ErrClosed, 503, 14, "the server is shutting down; try again"},
		{context.Canceled, 499, 1, "the caller went away"},
		{errors.New("open /secret: no such file"), 500, 13, "internal error; the server's log has more"},
	} {
		e := statusOf(c.err)
		if e.http != c.status || e.code != c.code || e.message != c.want {
			t.Errorf("%v: got %d %d %s, want %d %d %s", c.err, e.http, e.code, e.message, c.status, c.code, c.want)
		}
		if e.ours() != (c.status == http.StatusInternalServerError) {
			t.Errorf("%v: logged: %v", c.err, e.ours())
		}
	}
}
