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
	// CodeName. Nobody may change the archive from then on.
	//
	// # Errors
	//
	// ErrUnavailable.
	Put(ctx context.Context, archive []byte) (name string, err error)

	// Get returns an archive by its name. It is not to be changed.
	//
	// # Errors
	//
	// ErrNotFound, ErrCorrupt, ErrUnavailable.
	Get(ctx context.Context, name string) ([]byte, error)

	// Delete removes an archive; one that is not there is no error.
	//
	// # Errors
	//
	// ErrUnavailable.
	Delete(ctx context.Context, name string) error

	// Names lists the names of all archives.
	//
	// # Errors
	//
	// ErrUnavailable.
	Names(ctx context.Context) ([]string, error)

	// Collect removes the archives that keep does not name and that are older
	// than age, and returns how many.
	//
	// # Errors
	//
	// ErrCorrupt when one is missing that keep names: nothing is removed then,
	// since others may be there that can't be seen. ErrUnavailable.
	Collect(ctx context.Context, age time.Duration, keep map[string]bool) (int, error)
}

// CodeName returns what an archive is called: its SHA-256 in hexadecimal.
func CodeName(archive []byte) string {
	sum := sha256.Sum256(archive)
	return hex.EncodeToString(sum[:])
}

func missingCode(name string) error {
	return fmt.Errorf("%w: %s is missing; deploy the function anew", ErrCorrupt, name)
}
