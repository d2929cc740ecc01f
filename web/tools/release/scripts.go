package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"

	pythonwasi "vivarium/python-wasi"
)

var (
	//go:embed files/install.sh
	installer string
	//go:embed files/vivarium.rb
	formula string
)

// scripts makes the installer for a shell, and the formula for Homebrew.
func (r *release) scripts(context.Context) error {
	if err := r.write("install.sh", []byte(r.fill(installer))); err != nil {
		return err
	}
	if !slices.Equal(r.targets, targets) {
		return nil // the formula is for all
	}
	text := r.fill(formula)
	for _, t := range targets {
		sum, err := r.sum(r.archiveName(t))
		if err != nil {
			return err
		}
		text = strings.NewReplacer(
			fmt.Sprintf("@FILE_%s_%s@", t.os, t.arch), r.url+"/"+r.archiveName(t),
			fmt.Sprintf("@SUM_%s_%s@", t.os, t.arch), sum,
		).Replace(text)
	}
	return r.write("vivarium.rb", []byte(text))
}

func (r *release) fill(text string) string {
	return strings.NewReplacer("@VERSION@", r.version.String(), "@URL@", r.url).Replace(text)
}

// provenance tells what the files were made from and how, as in-toto and SLSA have it.
// Nobody has signed it.
func (r *release) provenance(context.Context) error {
	type digests map[string]string
	type resource struct {
		Name   string  `json:"name,omitempty"`
		URI    string  `json:"uri,omitempty"`
		Digest digests `json:"digest"`
	}
	made, err := r.made()
	if err != nil {
		return err
	}
	var subjects []resource
	for _, f := range made {
		subjects = append(subjects, resource{Name: f.name, Digest: digests{"sha256": f.sum}})
	}
	sources := []resource{{URI: "git+" + r.url, Digest: digests{"gitCommit": r.commit}}}
	for _, g := range []pythonwasi.Guest{pythonwasi.Lean, pythonwasi.Full} {
		info, err := g.Info()
		if err != nil {
			return err
		}
		sources = append(sources, resource{Name: g.Name() + "/python.wasm", Digest: digests{"sha256": info.ModuleSHA256}},
			resource{Name: g.Name() + "/library.zip", Digest: digests{"sha256": info.LibrarySHA256}})
	}
	text, err := json.MarshalIndent(map[string]any{
		"_type":         "https://in-toto.io/Statement/v1",
		"predicateType": "https://slsa.dev/provenance/v1",
		"subject":       subjects,
		"predicate": map[string]any{
			"buildDefinition": map[string]any{
				"buildType":            r.url + "/release",
				"externalParameters":   map[string]any{"version": r.version.String(), "url": r.url},
				"internalParameters":   map[string]any{"go": runtime.Version()},
				"resolvedDependencies": sources,
			},
			"runDetails": map[string]any{"builder": map[string]any{"id": r.url + "/go-tool-task-release"}},
		},
	}, "", "  ")
	if err != nil {
		return err
	}
	return r.write("provenance.json", append(text, '\n'))
}
