//go:build unix && !linux

package wasm

const mapNoReserve = 0 // these systems reserve nothing before it is touched

func adviseSmallPages([]byte) {}
