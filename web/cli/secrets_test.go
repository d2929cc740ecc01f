package cli

import (
	"archive/zip"
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vivarium/web/api"
)

const privateKey = "-----BEGIN PRIVATE KEY-----\nMC4CAQAw\n-----END PRIVATE KEY-----\n"

// withSecrets are files of a function, some of which hold secrets.
func withSecrets() map[string]string {
	return map[string]string{
		"main.py":         "import os\ndef handler(event, context):\n    return {'body': os.environ.get('TOKEN', 'none')}\n",
		".env":            "TOKEN=s3cret\n",
		".env.production": "TOKEN=s3cret\n", ".env.example": "TOKEN=\n",
		"keys/server.pem": privateKey, "keys/store.P12": "x", "keys/id_ed25519": "x",
		"certs/root.pem": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
		"mine.key":       privateKey, ignoreFile: "!mine.key\n",
	}
}

// left are those of withSecrets that are named as left out.
var left = []string{".env", ".env.production", "keys/id_ed25519", "keys/server.pem", "keys/store.P12"}

// names returns the names in an archive, in order.
func names(t *testing.T, archive []byte) (names []string) {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.File {
		names = append(names, f.Name)
	}
	slices.Sort(names)
	return names
}

func TestSecrets_AreLeftOutAndNamed(t *testing.T) {
	t.Setenv("VIVARIUM_SERVER", shared.url)
	folder := writeFiles(t, withSecrets())
	zipped := filepath.Join(t.TempDir(), "code.zip")
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, text := range withSecrets() {
		f, err := w.Create(name)
		if err == nil {
			_, err = f.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(zipped, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][]string{
		folder: {"certs/root.pem", "main.py", "mine.key"},
		zipped: {".env.example", ignoreFile, "certs/root.pem", "main.py", "mine.key"}, // as it is, but for secrets
	} {
		code, stdout, stderr := execute("", "deploy", "secretive", path)
		if code != ExitOK {
			t.Fatalf("exit code %d: %s", code, stderr)
		}
		if note := "code can be downloaded: " + strings.Join(left, ", ") + "; pass variables with --env-file"; !strings.Contains(sorted(stderr), note) {
			t.Errorf("%q is not in %s%s", note, stdout, stderr)
		}
		_, id, _ := strings.Cut(stdout, "version ")
		id, _, _ = strings.Cut(id, "\n")
		if got := names(t, []byte(get(t, shared, api.BasePath+"/versions/"+id+":download").body)); !slices.Equal(got, want) {
			t.Errorf("the archive has %v, want %v", got, want)
		}
		if got := get(t, shared, "/secretive"); got.body != "none" {
			t.Errorf("got %d %s", got.status, got.body)
		}
		must(t, "deploy", "secretive", path, "--env-file", filepath.Join(folder, ".env"))
		if got := get(t, shared, "/secretive"); got.body != "s3cret" {
			t.Errorf("got %d %s", got.status, got.body)
		}
	}
	code, stdout, stderr := execute("", "run", folder, "--env-file", filepath.Join(folder, ".env"), "--env", "OTHER=1")
	if code != ExitOK || stdout != "s3cret\n" && stdout != "s3cret" || !strings.Contains(stderr, "left out") {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
}

// sorted returns a note with the names in it in order.
func sorted(note string) string {
	before, rest, _ := strings.Cut(note, "downloaded: ")
	list, after, _ := strings.Cut(rest, ";")
	all := strings.Split(list, ", ")
	slices.Sort(all)
	return before + "downloaded: " + strings.Join(all, ", ") + ";" + after
}

func TestEnvFile_IsReadAsItsWriterMeantIt(t *testing.T) {
	const text = "\ufeffPLAIN=a b \r\n\r\n# a comment\nexport EXPORTED=1\n  SPACED  =  x  # why\nURL=https://x/#y?a=b\nEMPTY=\n" +
		"NONE=# nothing\nSINGLE='a \\n $B # c' # why\nDOUBLE=\"a\\n\\\"b\\\" \\$C \\d\"\nDOLLAR=pa$$word$PLAIN\nLINES=\"one\ntwo\"\nLAST=z"
	want := map[string]string{
		"PLAIN": "a b", "EXPORTED": "1", "SPACED": "x", "URL": "https://x/#y?a=b", "EMPTY": "", "NONE": "", "SINGLE": `a \n $B # c`,
		"DOUBLE": "a\n\"b\" $C \\d", "DOLLAR": "pa$$word$PLAIN", "LINES": "one\ntwo", "LAST": "z",
	}
	got := map[string]string{}
	if err := parseEnv(text, got); err != nil || !maps.Equal(got, want) {
		t.Errorf("got %q, %v\nwant %q", got, err, want)
	}
	for text, want := range map[string]string{
		"A=1\nB\n": "line 2: write NAME=VALUE", "A=\"1\n2\"\nB='x": "line 3: B: the closing quote is missing", "A='1'2": `A: after the closing ' there is "2"`,
	} {
		if err := parseEnv(text, map[string]string{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
	dir := writeFiles(t, map[string]string{"first": "A=1\nB=1\nC=1\n", "second": "B=2\nC=2\n"})
	l := limits{EnvFile: []string{dir + "/first", dir + "/second"}, Env: map[string]string{"C": "3"}}
	if got, err := l.environment(readEnvFile); err != nil || !maps.Equal(got, map[string]string{"A": "1", "B": "2", "C": "3"}) {
		t.Errorf("got %v, %v", got, err)
	}
	if code, _, stderr := execute("", "run", "../../examples/echo", "--env-file", dir+"/none"); code != ExitFailure || !strings.Contains(stderr, "--env-file") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}
