package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// Code holds archives by CodeName. Safe for concurrent use.
type Code interface {
	// Put stores an archive, unless it is there already, and returns its
	// CodeName. The archive must not be modified afterwards.
	//
	// # Errors
	//
	// ErrUnavailable.
	Put(ctx context.Context, archive []byte) (name string, err error)

	// Get returns an archive by name. It must not be modified.
	//
	// # Errors
	//
	// ErrNotFound, ErrCorrupt, ErrUnavailable.
	Get(ctx context.Context, name string) ([]byte, error)

	// Delete removes an archive. A missing one is not an error.
	//
	// # Errors
	//
	// ErrUnavailable.
	Delete(ctx context.Context, name string) error

	// Names returns the names of all archives.
	//
	// # Errors
	//
	// ErrUnavailable.
	Names(ctx context.Context) ([]string, error)

	// Collect removes the archives that are not in keep and older than age, and
	// returns how many.
	//
	// # Errors
	//
	// ErrCorrupt if an archive in keep is missing: then nothing is removed,
	// because others may exist that can't be seen. ErrUnavailable.
	Collect(ctx context.Context, age time.Duration, keep map[string]bool) (int, error)
}

// CodeName returns the name of an archive: its SHA-256 in hexadecimal.
func CodeName(archive []byte) string {
	sum := sha256.Sum256(archive)
	return hex.EncodeToString(sum[:])
}

func missingCode(name string) error {
	return fmt.Errorf("%w: %s is missing; deploy the function again", ErrCorrupt, name)
}
