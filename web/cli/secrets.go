package cli

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"vivarium/web/folder"
)

// Files that hold secrets by their names, and those that do if there is a private
// key in them. The console has the same (console/src/functions/ignore.ts).
var (
	secretFiles = []string{".env", ".netrc", ".pypirc", ".pgpass", ".git-credentials", "id_rsa", "id_ecdsa", "id_ed25519"}
	keyStores   = []string{".p12", ".pfx"}
	keyFiles    = []string{".pem", ".key"}
	patterns    = []string{".example", ".sample", ".template"} // such as .env.example
)

// maxKeyFile is how much of a file is searched for a private key.
const maxKeyFile = 64 << 10

// isSecret reports whether a file is one that code should not be sent with: whoever
// manages a function can download its code.
func isSecret(fsys fs.FS, name string) bool {
	base := strings.ToLower(path.Base(name))
	ext := path.Ext(base)
	switch {
	case slices.Contains(secretFiles, base), slices.Contains(keyStores, ext):
		return true
	case strings.HasPrefix(base, ".env."):
		return !slices.Contains(patterns, ext)
	case slices.Contains(keyFiles, ext):
		file, err := fsys.Open(name)
		if err != nil {
			return false // who packs it will report that
		}
		defer file.Close()
		text, _ := io.ReadAll(io.LimitReader(file, maxKeyFile)) // the same
		return bytes.Contains(text, []byte("PRIVATE KEY-----"))
	}
	return false
}

// withoutSecrets returns an archive without the files in it that isSecret names,
// and these. What is no archive stays as it is.
func withoutSecrets(archive []byte) (rest []byte, secrets []string, err error) {
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return archive, nil, nil
	}
	rules, err := readIgnore(r)
	if err != nil {
		return nil, nil, err
	}
	var rewritten bytes.Buffer
	w := zip.NewWriter(&rewritten)
	for _, f := range r.File {
		_, secret, err := rules.judge(r, f.Name, f.Mode().IsDir())
		if err != nil {
			return nil, nil, err
		}
		if secret {
			secrets = append(secrets, folder.Shown(f.Name))
		} else if err := w.Copy(f); err != nil {
			return nil, nil, err
		}
	}
	if len(secrets) == 0 {
		return archive, nil, nil
	}
	err = w.Close()
	return rewritten.Bytes(), secrets, err
}

// secretsNote tells which files were left out; empty if none were.
func secretsNote(secrets []string) string {
	if len(secrets) == 0 {
		return ""
	}
	return fmt.Sprintf("left out, since they may hold secrets, and code can be downloaded: %s; pass variables with --env-file FILE;"+
		" to have a file all the same, write !NAME in %s", someOf(secrets), ignoreFile)
}
