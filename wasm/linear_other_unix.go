//go:build unix && !linux

package wasm

const mapNoReserve = 0 // these systems reserve nothing before it is touched

type span struct{ offset, size int }

func adviseSmallPages([]byte) {}

func (m *linearMemory) privatePages(int64) []span { return nil }

func (m *linearMemory) populate([]span) {}
