package host

import (
	"context"

	"vivarium/host/access"
	"vivarium/host/fault"
	"vivarium/host/run"
)

// Sessions are the sessions that a principal may use: those of its tenant. A session of
// another one is not found. Safe for concurrent use.
type Sessions struct{ runner *run.Sessions }

// Sessions returns the sessions of tenants.
func (h *Host) Sessions() *Sessions { return &Sessions{h.runner.Sessions()} }

// reach returns the tenant in which p finds a session.
func (s *Sessions) reach(p access.Principal, o access.Operation, id string) (tenant string, err error) {
	if err := p.Allow(o); err != nil {
		return "", err
	}
	if p.Tenant == access.AllTenants {
		return s.runner.TenantOf(id)
	}
	if p.Tenant == "" { // a folder of somebody else, in which there is nothing
		return "", &fault.NotFoundError{Thing: "session", Name: id}
	}
	return p.Tenant, nil
}

// Create begins a session, see run.Sessions.Create.
func (s *Sessions) Create(ctx context.Context, p access.Principal, spec run.SessionSpec) (run.SessionInfo, error) {
	if err := p.Allow("CreateSession"); err != nil {
		return run.SessionInfo{}, err
	}
	if p.Home() == "" {
		return run.SessionInfo{}, &fault.NotFoundError{Thing: "folder"}
	}
	return s.runner.Create(ctx, p.Home(), spec)
}

// List tells of all sessions that p finds, oldest first.
func (s *Sessions) List(p access.Principal) ([]run.SessionInfo, error) {
	if err := p.Allow("Sessions"); err != nil {
		return nil, err
	}
	switch p.Tenant {
	case access.AllTenants:
		return s.runner.List(""), nil
	case "":
		return []run.SessionInfo{}, nil
	}
	return s.runner.List(p.Tenant), nil
}

// Get tells of a session.
func (s *Sessions) Get(p access.Principal, id string) (run.SessionInfo, error) {
	tenant, err := s.reach(p, "Session", id)
	if err != nil {
		return run.SessionInfo{}, err
	}
	return s.runner.Get(tenant, id)
}

// Run runs a snippet in a session, see run.Sessions.Run.
func (s *Sessions) Run(ctx context.Context, p access.Principal, id string, snippet run.Snippet) (*run.SnippetResult, error) {
	tenant, err := s.reach(p, "RunSnippet", id)
	if err != nil {
		return nil, err
	}
	return s.runner.Run(ctx, tenant, id, snippet)
}

// Fork begins a session as another one is, see run.Sessions.Fork.
func (s *Sessions) Fork(ctx context.Context, p access.Principal, id string) (run.SessionInfo, error) {
	tenant, err := s.reach(p, "ForkSession", id)
	if err != nil {
		return run.SessionInfo{}, err
	}
	return s.runner.Fork(ctx, tenant, id)
}

// Interrupt interrupts what a session does, see run.Sessions.Interrupt.
func (s *Sessions) Interrupt(p access.Principal, id string) error {
	tenant, err := s.reach(p, "InterruptSession", id)
	if err != nil {
		return err
	}
	return s.runner.Interrupt(tenant, id)
}

// End ends a session.
func (s *Sessions) End(p access.Principal, id string) error {
	tenant, err := s.reach(p, "EndSession", id)
	if err != nil {
		return err
	}
	return s.runner.End(tenant, id)
}

// WriteFile writes a file of a session, see run.Sessions.WriteFile.
func (s *Sessions) WriteFile(ctx context.Context, p access.Principal, id string, path string, content []byte) error {
	tenant, err := s.reach(p, "WriteSessionFile", id)
	if err != nil {
		return err
	}
	return s.runner.WriteFile(ctx, tenant, id, path, content)
}

// ReadFile reads a file of a session, see run.Sessions.ReadFile.
func (s *Sessions) ReadFile(ctx context.Context, p access.Principal, id string, path string) (content []byte, give func(), err error) {
	tenant, err := s.reach(p, "ReadSessionFile", id)
	if err != nil {
		return nil, nil, err
	}
	return s.runner.ReadFile(ctx, tenant, id, path)
}
