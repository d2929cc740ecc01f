package host

import (
	"encoding/json"
	"time"

	"vivarium/host/logs"
)

// callees are the host's functions as events know them.
type callees struct{ *Host }

// Known implements Functions.
func (c callees) Known(functionID string) (tenant string, revision uint64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if f := c.functions[functionID]; f != nil {
		return f.record.Tenant, f.revision
	}
	return "", 0
}

// IDs implements Functions.
func (c callees) IDs(tenant string) []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var ids []string
	for id, f := range c.functions {
		if f.record.Tenant == tenant {
			ids = append(ids, id)
		}
	}
	return ids
}

// HasRoom implements Functions.
func (c callees) HasRoom(functionID string) bool {
	v, err := c.Resolve(functionID, "") // nearly always the version in question
	return err == nil && c.runner.Room(v.ID) > 0
}

// Remark implements Functions.
func (c callees) Remark(functionID string, level logs.Level, message string, payload any) {
	f, err := c.lookup(functionID)
	if err != nil {
		return // it has just been deleted
	}
	e := logs.Entry{Time: time.Now(), FunctionID: functionID, Level: level, Message: message, System: true}
	e.Payload, _ = json.Marshal(payload) // plain data always marshals
	c.book.Add(f.logOwner(c.Host), e)
}
