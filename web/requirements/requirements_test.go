package requirements

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"
)

func read(t *testing.T, files map[string]string) (*List, error) {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return Read(fsys)
}

func TestRead_WritesRequirementsAnew(t *testing.T) {
	sum := strings.Repeat("ab", 32)
	for text, want := range map[string]string{
		"six\n":                       "six\n",
		"\ufeffsix\r\nattrs\r\n":      "six\nattrs\n", // as Windows editors write it
		"# one\n\n  six  # two\n":     "six\n",
		"six==1.16.0":                 "six==1.16.0\n",
		"six >= 1.0 , < 2 , != 1.5.*": "six>=1.0,<2,!=1.5.*\n",
		"six (>=1,<2)":                "six>=1,<2\n",
		"six ~= 1.4 ; python_version<'3.14' and (os_name == 'posix' or extra not  in \"a b\")": `six~=1.4 ; (python_version < "3.14" and (os_name == "posix" or extra not in "a b"))` + "\n",
		"zope.interface [ test,docs_x ] === 5!1.0+local.1":                                     "zope.interface[test,docs_x]===5!1.0+local.1\n",
		"six==1.0 \\\n    --hash=sha256:" + sum + " \\\r\n --hash sha256:" + sum + "\n":        "six==1.0 --hash=sha256:" + sum + " --hash=sha256:" + sum + "\n",
		"six; '3.1' in python_version":                                                         "six ; \"3.1\" in python_version\n",
		"si\\\nx\n":                                                                            "six\n",
		"six \\\n# a comment ends it\nattrs":                                                   "six\nattrs\n",
		"--prefer-binary\n--only-binary :all:\n--only-binary=six,attrs\nsix":                   "six\n",
		"# кириллица и \u200bпрочее\nsix":                                                      "six\n",
	} {
		list, err := read(t, map[string]string{File: text})
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := join(list.Packages); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	list, err := read(t, nil)
	if err != nil || !list.Empty() {
		t.Errorf("no file: got %v, %v", list, err)
	}
}

func TestRead_FollowsIncludedFiles(t *testing.T) {
	list, err := read(t, map[string]string{
		File:              "-r more/a.txt\n-c limits.txt\n--pre\n--require-hashes\n-rsix.txt\n--requirement=more/a.txt",
		"more/a.txt":      "attrs\n-r b.txt\n-r ../requirements.txt\n",
		"more/b.txt":      "idna\n",
		"six.txt":         "six",
		"limits.txt":      "six<2\n-c more/limits.txt",
		"more/limits.txt": "attrs<30",
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := list.String(), "pre: true\nhashes: true\nattrs\nidna\nsix\nconstraints:\nsix<2\nattrs<30\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRead_RefusesWhatIsNoPackageByName(t *testing.T) {
	long := strings.Repeat("(", 300) + "os_name == 'a'" + strings.Repeat(")", 300)
	for text, want := range map[string]string{
		".": "not a package name", "./pkg": "not a package name", "../pkg": "not a package name", "/abs/pkg": "not a package name",
		"pkg/": "not a package name", "pkg\\sub": "not a package name", "~/pkg": "not a package name", ".[extra]": "not a package name",
		"./evil-1.tar.gz": "not a package name", "evil-1.tar.gz": "not a package name", "evil-1-py3-none-any.whl": "not a package name",
		"evil.ZIP": "not a package name", "evil.tar.bz2": "not a package name", "C:\\evil": "not a package name",
		"file:evil": "version is invalid", "file:///evil.zip": "is an address", "git+https://x/y": "is an address", "git+ssh:x": "is an address",
		"https://x/evil.whl": "is an address", "evil @ file:///x": "is an address", "evil@file:///x": "is an address", "evil[x]@./pkg": "is an address",
		"evil @ ./pkg": "is an address",
		"-e ./pkg":     "would be built", "--editable=.": "would be built", "-e.": "would be built",
		"--no-binary :all:": "would build", "--no-binary=six": "would build", "six --no-binary six": "options other than --hash",
		"-i http://x": "where packages come from", "--index-url=http://x": "where packages come from", "--extra-index-url http://x": "where packages come from",
		"-f .": "where packages come from", "-f.": "where packages come from", "--find-links .": "where packages come from",
		"--trusted-host x": "where packages come from", "--no-index": "where packages come from",
		"--config-settings a=b": "can't set", "--use-feature x": "can't set", "--no-bin :all:": "can't set", "-": "can't set", "--": "can't set",
		"--only-binary :none:":             "wheels only",
		"six --global-option=build":        "options other than --hash",
		"six --config-settings=a=b":        "options other than --hash",
		"six --hash=md5:abc":               "options other than --hash",
		"${HOME}":                          "from the environment",
		"six==${VERSION}":                  "from the environment",
		"six==1.0 evil":                    "version is invalid",
		"six==1.0,./x":                     "not a package name",
		"six==1.*.0":                       "version is invalid",
		"six 1.0":                          "version is invalid",
		"six[a":                            "version is invalid",
		"six[]":                            "extras",
		"six[../x]":                        "not a package name",
		"six; os.system('x')":              "condition",
		"six; os_name == os_name evil":     "condition",
		"six; 'a' == 'a'":                  "condition",
		"six;":                             "condition",
		"six; " + long:                     "condition",
		"six; os_name == '\\'":             "condition",
		"si\x00x":                          "plain text",
		"six\r./pkg":                       "plain text",
		"# harmless\r./pkg":                "plain text",
		"# harmless\u2028./pkg":            "plain text",
		"# harmless\x85./pkg":              "plain text",
		"# harmless\u0085./pkg":            "plain text",
		"\xff\xfes\x00i\x00x\x00":          "plain text",
		"s\u0456x":                         "version is invalid",
		"-r ../other.txt":                  "outside of the folder",
		"-r /etc/passwd":                   "outside of the folder",
		"-c ../limits.txt":                 "outside of the folder",
		"-r https://x/r.txt":               "from elsewhere",
		"-r file:///etc/passwd":            "from elsewhere",
		"-r":                               "name a file",
		"-r a.txt --no-binary :all:":       "name a file",
		"-r \"a b.txt\"":                   "name a file",
		"six \\\n  --no-binary \\\n :all:": "options other than --hash",
	} {
		_, err := read(t, map[string]string{File: "attrs\n" + text + "\nidna\n"})
		e, ok := errors.AsType[*LineError](err)
		if !ok || !strings.Contains(e.Why, want) || e.Line != 2 {
			t.Errorf("%q: got %v, want line 2 refused, with %q", text, err, want)
		}
	}
	_, err := read(t, map[string]string{File: "six\n-r more/nested.txt\n", "more/nested.txt": "\n\n-e .\n"})
	if err == nil || !strings.HasPrefix(err.Error(), `more/nested.txt: line 3: "-e .": `) {
		t.Errorf("a line of an included file: got %v", err)
	}
	if _, err := read(t, map[string]string{File: "-r none.txt"}); err == nil || !strings.Contains(err.Error(), "none.txt") {
		t.Errorf("an included file that is missing: got %v", err)
	}
	if _, err := read(t, map[string]string{File: strings.Repeat("#", maxFile+1)}); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("a file that is too large: got %v", err)
	}
}

func join(all []Requirement) string { return text(all) }

// Whatever is read is written in a form that reads the same.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{"six[a]>=1,<2 ; os_name == 'posix' --hash=sha256:" + strings.Repeat("0", 64), "-r x", "a \\\n b", "--pre"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		list, err := read(t, map[string]string{File: content})
		if err != nil {
			return
		}
		written := text(list.Packages)
		for line := range strings.Lines(written) {
			if strings.ContainsAny(line, "/\\@$\r\x00") && !strings.Contains(line, `"`) || strings.HasPrefix(line, "-") || strings.HasPrefix(line, ".") {
				t.Fatalf("%q: wrote %q", content, line)
			}
		}
		again, err := read(t, map[string]string{File: written})
		if err != nil {
			t.Fatalf("%q: what was written is refused: %v", content, err)
		}
		if got := text(again.Packages); got != written {
			t.Fatalf("%q: got %q, want %q", content, got, written)
		}
	})
}

func TestMarker(t *testing.T) {
	values := map[string]string{"python_version": "3.13", "python_full_version": "3.13.5", "os_name": "posix", "extra": "fast"}
	for text, want := range map[string]bool{
		`python_version < "3.9"`: false, `python_version >= '3.10'`: true, `python_version == "3.13"`: true, `"3.14" > python_version`: true,
		`python_full_version == '3.13.5'`: true, `extra == "fast" and os_name != 'nt'`: true, `extra == "slow" or os_name == "nt"`: false,
		`os_name in "posix nt"`: true, `os_name not in "posix"`: false, `(extra == "slow" or extra == "fast") and python_version != "2.7"`: true,
		`python_version < "3.9" and os_name == "posix" or extra == "fast"`: true,
	} {
		m, err := parseMarker(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := m.holds(values); got != want {
			t.Errorf("%s, read as %s: got %v, want %v", text, m, got, want)
		}
	}
}
