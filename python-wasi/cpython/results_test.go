package main

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// recordedModule is the result that these tests compare others with.
var recordedModule = Module{
	Passed:  3,
	Skipped: map[string][]string{"no sockets": {"Net.test_s"}},
	Failed:  map[string]string{"Net.test_f": "OSError: no"},
}

func TestLost_NamesWhatPassedAndDoesNotAnyMore(t *testing.T) {
	skipped := recordedModule.Skipped
	failed := recordedModule.Failed
	for name, c := range map[string]struct {
		got  Module
		want []string
	}{
		"nothing has changed": {recordedModule, nil},
		"a test fails": {
			Module{Passed: 2, Skipped: skipped, Failed: map[string]string{"Net.test_f": "OSError: no", "Net.test_p": "ValueError: x"}},
			[]string{"test_net: Net.test_p: ValueError: x"},
		},
		"a test is skipped": {
			Module{Passed: 2, Failed: failed, Skipped: map[string][]string{"no sockets": {"Net.test_s"}, "no time": {"Net.test_p"}}},
			[]string{"test_net: Net.test_p: skipped: no time"},
		},
		"tests go with the set-up of their class": {
			Module{Passed: 1, Skipped: skipped, Failed: map[string]string{"Net.test_f": "OSError: no", "setUpClass (Net)": "OSError: x"}},
			[]string{"test_net: setUpClass (Net): OSError: x", "test_net: 1 tests are missing"},
		},
		"tests are gone":          {Module{Passed: 1, Skipped: skipped, Failed: failed}, []string{"test_net: 2 tests are missing"}},
		"the module is skipped":   {Module{Skip: "no"}, []string{"test_net: all of 3 tests are skipped: no"}},
		"the module does not end": {Module{Error: "timeout"}, []string{"test_net: none of 3 tests passes: timeout"}},
		"what failed is skipped":  {Module{Passed: 3, Skipped: map[string][]string{"no": {"Net.test_s", "Net.test_f"}}}, nil},
		"what was skipped fails":  {Module{Passed: 3, Failed: map[string]string{"Net.test_f": "x", "Net.test_s": "x"}}, nil},
		"what failed passes":      {Module{Passed: 4, Skipped: skipped}, nil},
		"nothing has ever passed": {Module{}, nil},
		"one fails, another one passes": {
			Module{Passed: 3, Skipped: skipped, Failed: map[string]string{"Net.test_p": "ValueError: x"}},
			[]string{"test_net: Net.test_p: ValueError: x"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			recorded := recordedModule
			if name == "nothing has ever passed" {
				recorded = Module{Skip: "no sockets"}
			}
			if diff := cmp.Diff(c.want, lost("test_net", recorded, c.got)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestGained_NamesWhatFailedAndPasses(t *testing.T) {
	if got := gained(recordedModule, Module{Passed: 4, Skipped: recordedModule.Skipped}); !slices.Equal(got, []string{"Net.test_f"}) {
		t.Errorf("got %q, want the test that failed", got)
	}
	for _, m := range []Module{recordedModule, {Error: "timeout"}, {Skip: "no"}} {
		if got := gained(recordedModule, m); len(got) != 0 {
			t.Errorf("got %q of %v, want none", got, m)
		}
	}
}

func TestPass_LinuxIsAboutWhatWasSkipped(t *testing.T) {
	base := Module{Passed: 9, Skipped: map[string][]string{
		"no sockets": {"Net.test_s", "setUpClass (Server)", "setUpModule (test.test_net.test_udp)"},
	}}
	got := PassLinux.of("test_net", base, Outcome{
		Passed:  []string{"Net.test_p", "Net.test_s", "Server.test_x", "test_udp.Udp.test_y", "test_tcp.Tcp.test_y"},
		Failed:  map[string]string{"Net.test_f": "x", "setUpClass (Net)": "y", "setUpClass (Other)": "z"},
		Skipped: map[string][]string{"no": {"Net.test_q", "Server.test_z"}},
	})
	want := Module{Passed: 3, Failed: map[string]string{"setUpClass (Net)": "y"}, Skipped: map[string][]string{"no": {"Server.test_z"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestPass_RunsWhatThePlatformSkipped(t *testing.T) {
	const noStub = "No module named '_testcapi'"
	for _, c := range []struct {
		base         Module
		stubs, linux bool
	}{
		{Module{Passed: 1}, false, false},
		{Module{Passed: 1, Skipped: map[string][]string{noStub: {"A.b"}}}, false, true},
		{Module{Skip: "requires sockets"}, false, true},
		{Module{Skip: noStub}, true, false},
		{Module{Skip: "requires test modules"}, true, false},
	} {
		if got := PassStubs.runs(c.base); got != c.stubs {
			t.Errorf("stubs, %+v: got %v", c.base, got)
		}
		if got := PassLinux.runs(c.base); got != c.linux {
			t.Errorf("Linux, %+v: got %v", c.base, got)
		}
	}
}

func TestResults_AreReadAsTheyWereSaved(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pass.json")
	if r, err := loadResults(file); err != nil || len(r) != 0 {
		t.Errorf("got %v, %v, want no results where there is no file", r, err)
	}
	want := Results{"test_net": recordedModule, "test_tk": {Skip: "no <screen>"}}
	if err := want.save(file); err != nil {
		t.Fatal(err)
	}
	got, err := loadResults(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestPlain_HidesWhatVaries(t *testing.T) {
	got := plain("'/tmp/tmpab12_x/f' at 0x7fde, not 0")
	if want := "'/tmp/…' at 0x…, not 0"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
