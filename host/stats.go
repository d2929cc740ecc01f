package host

// Stats is what a host has at one moment.
type Stats struct {
	Functions  int
	Versions   int
	Idle       int   // instances that wait for a call
	Busy       int   // instances that process one, or are being made
	Waiting    int   // calls that wait for an instance
	Memory     int64 // bytes that instances have taken for themselves
	Calls      int64 // since the start
	ColdStarts int64 // instances made since the start
}

// Stats returns what there is now. The parts are not of the very same moment.
func (h *Host) Stats() Stats {
	h.mu.RLock()
	s := Stats{Functions: len(h.functions)}
	h.mu.RUnlock()
	for _, p := range h.pools() {
		idle, live, waiting := p.stats()
		s.Versions++
		s.Idle += idle
		s.Busy += live - idle
		s.Waiting += waiting
	}
	s.Memory, s.Calls, s.ColdStarts = h.ledger.Total(QuotaMemory), h.metrics.calls.Load(), h.metrics.coldStarts.Load()
	return s
}
