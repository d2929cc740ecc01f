package wasm

import (
	"errors"
	"reflect"
	"sync/atomic"

	"github.com/tetratelabs/wazero/api"
)

// keptStack is how many bytes of machine stack an instance keeps between calls,
// uncharged.
const keptStack = 256 << 10

// errStack ends a call whose recursion ran out of memory for the machine stack.
var errStack = errors.New("no memory for the machine stack")

// stackSize returns how many bytes of machine stack wazero has allocated for
// calls of f. wazero doubles the stack in mid-call and reports it nowhere, so
// this looks into its engine; if that changes shape, the result is 0.
func stackSize(f api.Function) int64 {
	v := reflect.Indirect(reflect.ValueOf(f))
	if !v.IsValid() {
		return 0
	}
	known := stackField.Load()
	if known == nil || known.of != v.Type() {
		known = &field{of: v.Type()}
		if v.Kind() == reflect.Struct {
			if stack, ok := v.Type().FieldByName("stack"); ok && stack.Type.Kind() == reflect.Slice {
				known.index = stack.Index
			}
		}
		stackField.Store(known)
	}
	if known.index == nil {
		return 0
	}
	return int64(v.FieldByIndex(known.index).Len())
}

// stackField is where the functions seen last have their machine stack: a search by
// name takes longer than a switch of threads may.
var stackField atomic.Pointer[field]

type field struct {
	of    reflect.Type
	index []int // nil if there is none
}

// chargeStack charges the owner for growth of the machine stack, and reports
// whether that is allowed.
func (i *Instance) chargeStack() bool {
	size := stackSize(i.calling)
	if i.threads != nil {
		size += i.threads.parked
	}
	if size <= max(i.stack, keptStack) {
		return true
	}
	for !i.linear.charge.add(size - i.stack) {
		if i.threads == nil || len(i.threads.spare) == 0 {
			return false
		}
		before := i.threads.parked
		i.threads.dropSpare()
		size -= before - i.threads.parked
	}
	i.stack = size
	return true
}

// dropStack drops a large machine stack after a call; wazero would keep it with
// the function for good.
func (i *Instance) dropStack() {
	if stackSize(i.calling) > keptStack {
		i.load, i.invoke = nil, nil
	}
	kept := int64(0)
	if i.threads != nil {
		i.threads.dropSpare()
		kept = min(i.threads.parked, i.stack)
	}
	i.linear.charge.give(i.stack - kept)
	i.stack, i.calling = kept, nil
}
