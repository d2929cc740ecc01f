package wasm

import (
	"errors"
	"reflect"

	"github.com/tetratelabs/wazero/api"
)

// keptStack is how many bytes of machine stack stay with an instance between
// calls, charged to nobody.
const keptStack = 256 << 10

// errStack is why a call ended that recursed so deeply that there was no memory
// for the machine stack.
var errStack = errors.New("no memory for the machine stack")

// stackSize returns how many bytes of machine stack wazero has made for calls of
// f. It doubles it in mid-call, and tells nobody: there is no other way to see
// it than to look into its engine. Where that has another form, it is 0.
func stackSize(f api.Function) int64 {
	v := reflect.Indirect(reflect.ValueOf(f))
	if v.Kind() != reflect.Struct {
		return 0
	}
	stack := v.FieldByName("stack")
	if stack.Kind() != reflect.Slice {
		return 0
	}
	return int64(stack.Len())
}

// chargeStack tells the owner by how much the machine stack has grown, and says
// if that is allowed.
func (i *Instance) chargeStack() bool {
	size := stackSize(i.calling)
	if size <= max(i.stack, keptStack) {
		return true
	}
	if !i.linear.charge.take(size - i.stack) {
		return false
	}
	i.stack = size
	return true
}

// dropStack lets go of a large machine stack after a call: wazero would keep it
// with the function, for good.
func (i *Instance) dropStack() {
	if stackSize(i.calling) > keptStack {
		i.load, i.invoke = nil, nil
	}
	i.linear.charge.give(i.stack)
	i.stack, i.calling = 0, nil
}
