package main

import (
	"slices"
	"testing"
)

func TestModulesOf_FindsWhatRegrtestWould(t *testing.T) {
	got := modulesOf([]string{
		"test/__init__.py", "test/test_abc.py", "test/support/__init__.py", "test/list_tests.py", "test/test_notes.txt",
		"test/test_json/__init__.py", "test/test_json/test_decode.py",
		"test/test_asyncio/__init__.py", "test/test_asyncio/utils.py", "test/test_asyncio/test_tasks.py",
		"test/test_gdb/test_deep/__init__.py",
	})
	want := []string{"test_abc", "test_asyncio.test_tasks", "test_gdb.test_deep", "test_json"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSuite_Choose(t *testing.T) {
	s := &suite{modules: []string{"test_abc", "test_asyncio.test_locks", "test_asyncio.test_tasks", "test_json"}}
	for _, c := range []struct{ patterns, want []string }{
		{nil, s.modules},
		{[]string{"test_json", "test_abc"}, []string{"test_abc", "test_json"}},
		{[]string{"test_asyncio.*", "test_asyncio.test_tasks"}, s.modules[1:3]},
	} {
		got, err := s.choose(c.patterns)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, %v, want %q", c.patterns, got, err, c.want)
		}
	}
	if got, err := s.choose([]string{"json"}); err == nil {
		t.Errorf("got %q for a name that no module has, want an error", got)
	}
}
