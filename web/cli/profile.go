package cli

import (
	"fmt"
	"os"

	"vivarium/host/profile"
	"vivarium/wasm"
)

// profiling is a profile that is to be written to a file. A nil one is none.
type profiling struct {
	file    *os.File
	profile *profile.Profile
}

// openProfile makes the file for a profile; nil when no name is given.
func openProfile(name string) (*profiling, error) {
	if name == "" {
		return nil, nil
	}
	file, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("--profile: %w", err)
	}
	return &profiling{file, profile.New()}, nil
}

// observer returns what collects the profile.
func (p *profiling) observer() wasm.Observer {
	if p == nil {
		return nil
	}
	return p.profile.Observe
}

// write writes the profile.
func (p *profiling) write() error {
	if p == nil {
		return nil
	}
	if err := p.profile.Write(p.file); err != nil {
		return fmt.Errorf("--profile: %w", err)
	}
	return nil
}

// close closes the file.
func (p *profiling) close() {
	if p != nil {
		_ = p.file.Close() // write has told what went wrong
	}
}
