// Package catalog has what there is: functions, their versions, tags and scaling
// policies (contract §6). It is the only one to read and write their records, and
// decides who may.
//
// # Vocabulary
//
//   - Function: a name and an id, of one tenant. Its record, one value in the store,
//     lists its versions, tags and policies.
//   - Version: immutable code with an entry point, limits and an environment. What
//     is live of it (instances, images) is package run's.
//   - Tag: points at one version of a function; LatestTag at the newest. A version
//     without tags is obsolete, and goes after a while.
//   - Scaling policy: limits for whichever version carries a tag.
//   - Operation: a method of Catalog. It takes the access.Principal who asks.
//
// # The way of an operation
//
//	principal.Allow    may the caller's role do this at all? (access)
//	table.visible      what the caller means: of the caller's tenant, else NotFound, the
//	                   same as for what does not exist (table.go)
//	records.change     a new record out of the present one, stored given that nobody has
//	                   changed it since; else again (change.go)
//	table.install      the new record is what all see; the Runner learns which versions
//	                   have come and gone, and their limits
//
// What a caller gets are values: nothing changes them afterwards, and nobody may.
//
// # What is kept
//
// What a record refers to is written before it, and removed after it; what is cut off
// in between the next start collects (load.go). The table is a cache of the records,
// kept up to date by the store's news, so several processes may share a store.
// Transient functions are in no store.
package catalog

import (
	"context"
	"log/slog"
	"time"

	"vivarium/host/fault"
	"vivarium/host/quota"
	"vivarium/host/store"
	"vivarium/wasm/vfs"
)

// Config tells New what a catalog works with.
type Config struct {
	Store  *store.Store // the caller closes it, after the catalog
	Ledger *quota.Ledger
	Runner Runner
	// Secrets knows the secrets that versions refer to; nil means that there are none.
	Secrets Secrets
	// Drop removes what else there is of a function that is being deleted: its timers,
	// queued calls and logs. Forget lets go of what this process holds of one that
	// another process has deleted, and does not block.
	Drop   func(ctx context.Context, f FunctionInfo) error
	Forget func(f FunctionInfo)
	// KeepObsolete is how long a version without tags is kept; less than 0 means for
	// ever.
	KeepObsolete time.Duration
	Log          *slog.Logger // receives what only the operator can mend
}

// Runner is what a catalog tells of its versions. *run.Runner implements it.
type Runner interface {
	// Unpack makes code of an archive, within what the tenant may have; give returns
	// what it took.
	Unpack(ctx context.Context, tenant string, archive []byte) (code *vfs.Tree, give func(), err error)
	// Add makes a version known, before anybody can ask for it. Without code it is
	// read when it is needed.
	Add(v *Version, code *vfs.Tree, give func())
	// Prepare loads the code of a version that nobody can call yet, which makes its
	// first call quick, and says why it does not load. It blocks for as long as that
	// takes, at most a minute.
	Prepare(ctx context.Context, versionID string) *fault.FunctionError
	// SetLimits bounds the instances of a version. It does not block.
	SetLimits(versionID string, l Limits)
	// Remove ends a version, and waits for its calls.
	Remove(versionID string)
	// CollectImages removes images of versions that are not listed, and charges for
	// the others.
	CollectImages(listed map[string]bool) error
}

// Secrets is what a catalog asks of secrets. *secrets.Vault implements it.
type Secrets interface {
	// Pin returns references with the ids of what is there now, and the bytes of the
	// variables with their values.
	Pin(tenant string, references []SecretReference) (pinned []SecretReference, size int, err error)
}

// Limits bound the instances of a version. Scaling policies change them.
type Limits struct {
	Ready     int // instances that are kept ready
	Instances int // at most
	Requests  int // calls in progress and waiting, at most; 0: no limit
}

// Catalog is what there is. Each operation says in package access which role it takes;
// all refuse, besides the errors that they name, with fault.ErrUnauthenticated and
// *fault.ForbiddenError, and know what is another tenant's as little as what does not
// exist. Safe for concurrent use.
type Catalog struct{ records *records }

// New returns a catalog that is empty until Load.
func New(cfg Config) *Catalog { return &Catalog{newRecords(cfg)} }

// Load takes over the functions that the store has, and listens for changes that other
// processes make until Close. No code is read: that comes with the first call. Deletions
// that were cut off go on. Blocks for as long as the store does.
//
// # Errors
//
// fault.ErrUnavailable.
func (c *Catalog) Load(ctx context.Context) error {
	if err := c.records.load(ctx); err != nil {
		return err
	}
	c.records.janitor.Go(c.records.expire)
	return nil
}

// Close refuses changes, and waits for versions and functions that are being taken
// down. It is idempotent.
func (c *Catalog) Close() {
	r := c.records
	r.mu.Lock()
	already := r.closed
	r.closed = true
	r.mu.Unlock()
	if already {
		return
	}
	r.stop()
	r.unwatch()
	r.janitor.Wait()
	r.drains.Wait()
}
