package strictyaml

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type inner struct {
	Cron     string `required:""`
	TimeZone string
}

type shared struct {
	Env     map[string]string
	Timeout time.Duration `default:"3s"`
	Memory  amount        `default:"128"`
}

type asynchronous struct {
	Retries *int
}

type outer struct {
	shared
	Name   string
	Label  []string     `yaml:"labels"`
	Async  asynchronous `embed:"" prefix:"async-"`
	Public *bool
	Hidden string `yaml:"-"`
	Timers map[string]inner
}

// amount is a number that is written with a unit.
type amount int

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *amount) UnmarshalText(text []byte) error {
	if _, err := fmt.Sscanf(string(text), "%d", (*int)(a)); err != nil {
		return fmt.Errorf("%q is no amount", text)
	}
	return nil
}

func TestDecode_ReadsWhatIsWellFormed(t *testing.T) {
	retries, public := 3, true
	for text, want := range map[string]outer{
		"{}": {shared: shared{Timeout: 3 * time.Second, Memory: 128}},
		`
name: "true"   # a comment
labels: [one, 2]
env: {A: x, B: 8080, C: 1.10, D: '', E: "no", F: 0123}
timeout: 1m
memory: 256m
async: {retries: 3}
public: true
timers:
  nightly: {cron: '0 3 * * *', time-zone: Europe/Berlin}
`: {
			shared: shared{Env: map[string]string{"A": "x", "B": "8080", "C": "1.10", "D": "", "E": "no", "F": "0123"}, Timeout: time.Minute, Memory: 256},
			Name:   "true", Label: []string{"one", "2"}, Async: asynchronous{&retries}, Public: &public,
			Timers: map[string]inner{"nightly": {"0 3 * * *", "Europe/Berlin"}},
		},
	} {
		var got outer
		if _, err := Decode([]byte(text), &got); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(outer{})); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

func TestDecode_TellsWhereWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"":                                       "1:1: the file is empty",
		" # nothing\n":                           "1:1: not YAML: no documents",
		"\xff":                                   "1:1: the file is not UTF-8",
		"- a":                                    "1:1: must be a mapping",
		"name: x\nnmae: y":                       "2:1: nmae: there is no such key; did you mean name? (there are: async, env, labels, memory, name, public, timeout, timers)",
		"hidden: x":                              "1:1: hidden: there is no such key (there",
		"Name: x":                                "did you mean name?",
		"name: x\nname: y":                       "2:1: name: is there already",
		"name:":                                  "1:6: name: has no value; write a text",
		"name: true":                             "1:7: name: must be a text; put true in quotes",
		"name: 2026-01-02":                       "put 2026-01-02 in quotes",
		"name: [a]":                              "1:7: name: must be a text",
		"public: yes":                            "1:9: public: must be true or false",
		"public: 'true'":                         "1:9: public: must be true or false",
		"timeout: 5":                             "1:10: timeout: must be a time such as",
		"timeout: soon":                          "1:10: timeout: must be a time such as",
		"memory: [1]":                            "1:9: memory: must be",
		"memory: much":                           `1:9: memory: "much" is no amount`,
		"labels: one":                            "1:9: labels: must be a list",
		"labels: [one, [two]]":                   "1:15: labels: must be a text",
		"env: [A=b]":                             "1:6: env: must be a mapping",
		"async: {retries: '3'}":                  "1:18: async.retries: must be a whole number",
		"async: {retries: 1.5}":                  "1:18: async.retries: must be a whole number",
		"async: {retries: 99999999999999999999}": "async.retries: must be a whole number",
		"timers:\n  a:\n    time-zone: UTC":      "3:5: timers.a: needs the key cron",
		"env: &a {A: b}":                         "1:6: env: anchors",
		"name: &a x\nlabels: [*a]":               "1:7: name: anchors",
		"env: {<<: {A: b}}":                      "1:7: env: merge keys",
		"name: !!str x":                          "1:7: name: tags (!) are not allowed",
		"name: !x y":                             "tags (!)",
		"? [a]\n: b":                             "a key must be a plain word",
		"name: x\n---\nname: y":                  "not YAML",
		"name: x\n  env: y":                      "2:6: not YAML",
		"name: 'x":                               "not YAML",
		"name: {a: b":                            "not YAML",
		"nmae: x\nenvv: {}":                      "2:1: envv: there is no such key; did you mean env?",
		"name: " + strings.Repeat("[", 1<<17):    "not YAML",
		strings.Repeat("#", MaxText+1):           "1:1: the file has 262145 bytes, at most 262144",
		"a: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: [*b,*b,*b,*b]": "1:1: a: there is no such key",
	} {
		var v outer
		_, err := Decode([]byte(text), &v)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q:\n got %v\nwant %s", text, err, want)
		}
	}
}

func TestDocument_FindsTheNearestPlace(t *testing.T) {
	var v outer
	d, err := Decode([]byte("name: x\nenv:\n  A: b\n"), &v)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"env.A": "f.yaml:3:3: env.A: bad", "env.B": "f.yaml:2:1: env.B: bad", "timeout": "f.yaml:1:1: timeout: bad",
	} {
		if got := d.Faultf(path, "bad").In("f.yaml"); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("name: x\nenv: {A: b}\ntimers: {a: {cron: '* * * * *'}}\n")
	f.Add("a: &a [x]\nb: *a\n? [c]\n: d\n")
	f.Fuzz(func(t *testing.T, text string) {
		var v outer
		_, err := Decode([]byte(text), &v)
		if e, ok := err.(*Error); err != nil && (!ok || len(e.Faults) == 0 || e.Faults[0].Line < 1 || e.Faults[0].Column < 1) {
			t.Errorf("%q: an error without a place: %v", text, err)
		}
	})
}
