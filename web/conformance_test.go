package web

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the conformance cases' expectations, and their table, as they are now")

// TestConformance calls real functions over real HTTP. Each file below
// testdata/conformance is one case: a sentence, what it proves, the code of a
// function, requests and expected responses. README.md there describes the
// format and lists which case proves what.
//
// Every expectation is also shown to be able to fail: each part of the response
// that it names is changed in turn, and the case must notice.
func TestConformance(t *testing.T) {
	areas := caseFiles(t)
	suite := startSuite(t)
	t.Run("cases", func(t *testing.T) {
		for _, area := range slices.Sorted(maps.Keys(areas)) {
			for _, file := range areas[area] {
				t.Run(area+"/"+strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
					t.Parallel()
					c, err := readCase(file)
					if err != nil {
						t.Fatal(err)
					}
					t.Attr("sentence", c.sentence)
					t.Attr("proves", strings.Join(c.proves, "; "))
					suite.run(t, c)
					if *update && c.changed {
						if err := os.WriteFile(file, c.format(), 0o644); err != nil {
							t.Fatal(err)
						}
					}
				})
			}
		}
	})
	if log := suite.server.log.String(); log != "" {
		t.Errorf("the server's log: got %s, want nothing: no fault was ours", log)
	}
}

// caseRoot is the folder of the cases; each subfolder is an area.
const caseRoot = "testdata/conformance"

// caseFiles returns the files of all cases by area.
func caseFiles(t *testing.T) map[string][]string {
	t.Helper()
	files, err := filepath.Glob(caseRoot + "/*/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases in %s: %v", caseRoot, err)
	}
	areas := map[string][]string{}
	for _, file := range files {
		area := filepath.Base(filepath.Dir(file))
		areas[area] = append(areas[area], file)
	}
	return areas
}

// suite is what all cases share: the server, and a function for each
// combination of code and configuration.
type suite struct {
	server *testServer

	mu        sync.Mutex // guards functions
	functions map[string]*caseFunction
}

func startSuite(t *testing.T) *suite {
	return &suite{server: start(t, Config{Version: "test"}, mustRealHost(t)), functions: map[string]*caseFunction{}}
}

// run makes the calls of a case in order, except for background ones, and
// checks the outcomes.
func (s *suite) run(t *testing.T, c *testCase) {
	f := s.function(c)
	f.mu.Lock() // cases that share a function take turns, so that it has one instance
	defer f.mu.Unlock()
	f.deploy(c)
	if f.err != nil || c.deployError != nil {
		c.checkDeploy(t, f.err)
		return
	}
	r := &caseRunner{t: t, suite: s, f: f, keep: c.keepConnection}
	var background []*exchangeStep
	for _, step := range c.steps {
		step.known = f.known()
		r.send(step)
		if slices.Contains(step.options, "background") {
			background = append(background, step)
			continue
		}
		r.finish(step)
	}
	for _, step := range background {
		r.finish(step)
	}
	r.close()
	for _, step := range c.steps {
		if step.failed {
			return
		}
		step.check(t, c)
	}
}
