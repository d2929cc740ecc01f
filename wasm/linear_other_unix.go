//go:build unix && !linux && !plaincopy

package wasm

const mapNoReserve = 0 // these systems reserve nothing before it is touched

func adviseSmallPages([]byte) {}
