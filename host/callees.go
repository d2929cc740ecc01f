package host

import (
	"context"
	"encoding/json"
	"time"

	"vivarium/host/access"
	"vivarium/host/catalog"
	"vivarium/host/logs"
	"vivarium/host/run"
)

// callees are the host's functions as events know them.
type callees struct {
	*catalog.Catalog
	host *Host
}

// TenantOf implements events.Functions.
func (c callees) TenantOf(functionID string) string {
	f, _ := c.Function(access.Operator, functionID) // of what is not there, it is empty
	return f.Tenant
}

// Invoke implements events.Functions.
func (c callees) Invoke(ctx context.Context, p access.Principal, inv run.Invocation) (*run.Result, error) {
	return c.host.Invoke(ctx, p, inv)
}

// HasRoom implements events.Functions.
func (c callees) HasRoom(functionID string) bool {
	v, err := c.Resolve(access.Operator, functionID, "") // nearly always the version in question
	return err == nil && c.host.runner.Room(v.ID) > 0
}

// Remark implements events.Functions.
func (c callees) Remark(functionID string, level logs.Level, message string, payload any) {
	f, err := c.Function(access.Operator, functionID)
	if err != nil {
		return // it has just been deleted
	}
	e := logs.Entry{Time: time.Now(), FunctionID: functionID, Level: level, Message: message, System: true}
	e.Payload, _ = json.Marshal(payload) // plain data always marshals
	c.host.book.Add(f.LogOwner(), e)
}
