package cli

import (
	"os"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// --allow-net takes rules behind a = only, so that it never takes a path for one.
func TestNetRules_WhatFollowsTheFlagIsNoRule(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("main.py", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args, rules, path string
		err               string // a part of the error
	}{
		{"--allow-net", "public", "", ""},
		{"--allow-net main.py", "public", "main.py", ""},
		{"main.py --allow-net", "public", "main.py", ""},
		{"--allow-net .", "public", ".", ""},
		{"--allow-net=10.0.0.5:5432,localhost main.py", "10.0.0.5:5432,localhost", "main.py", ""},
		{"--allow-net=a.example.com --allow-net=b.example.com", "a.example.com,b.example.com", "", ""},
		{"--allow-net --other main.py", "public", "main.py", ""},
		{"--allow-net api.example.com main.py", "", "", "write --allow-net=api.example.com if"},
		{"--allow-net=10.0.0.5/8 main.py", "", "", "bits are set"},
	} {
		var flags struct {
			Path     string `arg:"" optional:""`
			Other    bool
			AllowNet netRules
		}
		parser, err := kong.New(&flags)
		if err != nil {
			t.Fatal(err)
		}
		_, err = parser.Parse(strings.Fields(c.args))
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v, want an error with %q", c.args, err, c.err)
			}
		} else if err != nil || string(flags.AllowNet) != c.rules || flags.Path != c.path {
			t.Errorf("%s: rules %q, path %q, %v", c.args, flags.AllowNet, flags.Path, err)
		}
	}
}
