package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	pythonwasi "vivarium/python-wasi"
)

// nobody is the user that the program is in a container; those who run containers know
// it as the one that may do nothing.
const nobody = 65532

// image makes a container image for all processors, in OCI's layout in one tar file. In it
// are the program, the root certificates that Python packages use, and nothing else.
func (r *release) image(context.Context) error {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, t := range r.targets {
		if t.os != "linux" {
			continue
		}
		one, err := r.imageFor(t)
		if err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: one, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: t.os, Architecture: t.arch}},
		})
	}
	folder, err := os.MkdirTemp("", "vivarium-image-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	written, err := layout.Write(folder, empty.Index)
	if err != nil {
		return err
	}
	name := map[string]string{"org.opencontainers.image.ref.name": "vivarium:" + r.version.String()}
	if err := written.AppendIndex(index, layout.WithAnnotations(name)); err != nil {
		return err
	}
	return r.pack("vivarium_"+r.version.String()+"_oci.tar", folder)
}

func (r *release) imageFor(t target) (v1.Image, error) {
	roots, err := rootCertificates()
	if err != nil {
		return nil, err
	}
	var layer bytes.Buffer
	err = writeTar(&layer, []entry{
		{name: "usr/", mode: 0o755}, {name: "usr/bin/", mode: 0o755},
		{name: "usr/bin/vivarium", mode: 0o755, file: r.files[t]},
		{name: "etc/", mode: 0o755}, {name: "etc/ssl/", mode: 0o755}, {name: "etc/ssl/certs/", mode: 0o755},
		{name: "etc/ssl/certs/ca-certificates.crt", mode: 0o644, data: roots},
		{name: "etc/passwd", mode: 0o644, data: fmt.Appendf(nil, "vivarium:x:%d:%d::/data:/none\n", nobody, nobody)},
		{name: "tmp/", mode: 0o1777},
		{name: "data/", mode: 0o700, uid: nobody},
		{name: "cache/", mode: 0o700, uid: nobody},
	}, r.time)
	if err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil }
	files, err := tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	bare := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	history := v1.History{Created: v1.Time{Time: r.time}, CreatedBy: "vivarium " + r.version.String()}
	filled, err := mutate.Append(bare, mutate.Addendum{Layer: files, History: history})
	if err != nil {
		return nil, err
	}
	return mutate.ConfigFile(filled, r.imageConfig(t, filled))
}

func (r *release) imageConfig(t target, filled v1.Image) *v1.ConfigFile {
	config, err := filled.ConfigFile()
	if err != nil {
		panic(err) // it is in memory
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = t.os, t.arch, v1.Time{Time: r.time}
	config.Config = v1.Config{
		User:         fmt.Sprintf("%d:%d", nobody, nobody),
		Env:          []string{"PATH=/usr/bin", "HOME=/data", "XDG_CACHE_HOME=/cache"},
		WorkingDir:   "/data",
		Entrypoint:   []string{"/usr/bin/vivarium"},
		Cmd:          []string{"serve", "--data", "/data", "--listen", "0.0.0.0:8080"},
		ExposedPorts: map[string]struct{}{"8080/tcp": {}},
		Volumes:      map[string]struct{}{"/data": {}},
		Labels: map[string]string{
			"org.opencontainers.image.title":    "vivarium",
			"org.opencontainers.image.version":  r.version.String(),
			"org.opencontainers.image.revision": r.commit,
			"org.opencontainers.image.licenses": "Apache-2.0",
		},
	}
	return config
}

// rootCertificates returns those that the guest has for requests.
func rootCertificates() ([]byte, error) {
	site, err := pythonwasi.Lean.Site()
	if err != nil {
		return nil, err
	}
	return fs.ReadFile(site, "certifi/cacert.pem")
}

// pack makes a tar file of all files below a folder.
func (r *release) pack(name, folder string) error {
	var inside []entry
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == folder {
			return err
		}
		relative, err := filepath.Rel(folder, path)
		if d.IsDir() {
			inside = append(inside, entry{name: relative + "/", mode: 0o755})
		} else {
			inside = append(inside, entry{name: relative, mode: 0o644, file: path})
		}
		return err
	})
	if err != nil {
		return err
	}
	return create(filepath.Join(r.out, name), 0o644, func(w io.Writer) error { return writeTar(w, inside, r.time) })
}
