package store

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"
)

// memOperations implements Operations in memory.
type memOperations struct {
	*memory
	most int64 // bytes

	mu   sync.Mutex  // guards all below; nothing blocks under it
	all  []Operation // oldest first
	size int64       // bytes
}

func operationSize(o Operation) int64 {
	return int64(len(o.ID)+len(o.Tenant)+len(o.About)+len(o.Value)) + 256
}

func (m *memOperations) Put(_ context.Context, o Operation) error {
	if err := m.open(); err != nil {
		return err
	}
	o.Value, o.Stored = bytes.Clone(o.Value), time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop(func(old Operation) bool { return old.ID == o.ID || o.Stored.Sub(old.Stored) > operationAge })
	m.all = append(m.all, o)
	m.size += operationSize(o)
	own := 0
	for _, other := range m.all {
		if other.Tenant == o.Tenant {
			own++
		}
	}
	excess := own - maxOperations
	m.drop(func(old Operation) bool {
		if old.Tenant == o.Tenant && excess > 0 {
			excess--
			return true
		}
		return m.size > m.most
	})
	return nil
}

// drop removes the operations that which selects, which is asked for each in order. The caller
// holds the mutex.
func (m *memOperations) drop(which func(Operation) bool) {
	m.all = slices.DeleteFunc(m.all, func(o Operation) bool {
		gone := which(o)
		if gone {
			m.size -= operationSize(o)
		}
		return gone
	})
}

func (m *memOperations) Get(_ context.Context, id string) (Operation, error) {
	if err := m.open(); err != nil {
		return Operation{}, err
	}
	found := m.find(func(o Operation) bool { return o.ID == id })
	if len(found) == 0 {
		return Operation{}, ErrNotFound
	}
	return found[0], nil
}

func (m *memOperations) About(_ context.Context, tenant, about string) ([]Operation, error) {
	if err := m.open(); err != nil {
		return nil, err
	}
	return m.find(func(o Operation) bool { return o.Tenant == tenant && o.About == about }), nil
}

func (m *memOperations) find(which func(Operation) bool) (found []Operation) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, o := range m.all {
		if which(o) && time.Since(o.Stored) <= operationAge {
			found = append(found, o)
		}
	}
	return found
}
