//go:build unix && !linux && !plaincopy

package wasm

const mapNoReserve = 0 // these systems reserve nothing before it is touched

func adviseSmallPages([]byte) {}

// span is a range of bytes of a linear memory.
type span struct{ offset, size int }

func (m *linearMemory) privatePages(int64) []span { return nil }

func (m *linearMemory) populate([]span) {}
