package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReport_IsThatOfTheResults(t *testing.T) {
	got, err := os.ReadFile(reportFile)
	if err != nil {
		t.Fatal(err)
	}
	want, err := report(".")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s is not what the results and reasons give; write it: go tool task cpython -- -report", reportFile)
	}
}

func TestReport_NamesEachFailureWithItsReason(t *testing.T) {
	dir := t.TempDir()
	reasons := "# class, test, exception, reason\n" +
		"platform\t*\tOSError: *\tsockets\n" +
		"rule\ttest_logging.*\t*\tthe root logger has a handler\n" +
		"linux\t*\tskipped: for Mars\tfor other systems\n"
	if err := os.WriteFile(filepath.Join(dir, "reasons.txt"), []byte(reasons), 0o600); err != nil {
		t.Fatal(err)
	}
	results := Results{
		"test_logging": {Passed: 6, Failed: map[string]string{"Net.test_f": "OSError: no", "Root.test_r": "AssertionError: 2 != 1"}},
		"test_list":    {Error: "timeout"},
		"test_many":    {Passed: 1, Failed: map[string]string{}},
	}
	for _, c := range strings.Split("abcdefghijklm", "") {
		results["test_many"].Failed["Net.test_"+c] = "OSError: no"
	}
	if err := results.save(filepath.Join(dir, PassPlatform.file())); err != nil {
		t.Fatal(err)
	}
	skipped := Results{
		"test_logging": {Skipped: map[string][]string{"for Mars": {"Net.test_a", "Net.test_b"}, "no net": {"Net.test_c"}}},
		"test_mars":    {Skip: "for Mars"},
	}
	if err := skipped.save(filepath.Join(dir, PassLinux.file())); err != nil {
		t.Fatal(err)
	}
	text, err := report(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| 7 | 16 | 30.4 % | 0 | 2 | 0 |",
		"| ours to fix | 1 | 0 | 0 |",
		"**the platform lacks it: sockets** (14)\n\n- test_logging.Net.test_f: `OSError: no`\n- test_many: 13 tests\n",
		"**a rule of the contract: the root logger has a handler** (1)\n\n- test_logging.Root.test_r: `AssertionError: 2 != 1`\n",
		"**ours to fix: not looked into** (1)\n\n- test_list: `timeout`\n",
		"| ours to fix | not looked into | 1 | test_logging |\n",
		"| skipped on Linux, too | for other systems | 3 | test_logging, test_mars |\n",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
}

func TestLoadReasons_RefusesWhatItCantRead(t *testing.T) {
	for _, line := range []string{"platform\t*\tsockets", "platform *\t*\tsockets", "soon\t*\t*\tsockets", "linux\t*\t*\tsockets"} {
		file := filepath.Join(t.TempDir(), "reasons.txt")
		if err := os.WriteFile(file, []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
		if r, err := loadReasons(file); err == nil {
			t.Errorf("%q: got %+v, want an error", line, r)
		}
	}
}
