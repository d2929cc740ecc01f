// Command conformancetable runs the conformance suite and prints its cases:
// pass or fail, what each proves, and its sentence.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"text/tabwriter"
)

// prefix is the prefix of the cases' test names.
const prefix = "TestConformance/cases/"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, os.Stderr, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "conformancetable:", err)
		os.Exit(1)
	}
}

// run runs the suite, or the named areas, and prints the table.
func run(ctx context.Context, stdout, stderr io.Writer, areas []string) error {
	pattern := "^TestConformance(_EveryStatementHasACase)?$"
	if len(areas) > 0 {
		pattern = "^TestConformance$/^cases$/^(" + strings.Join(areas, "|") + ")$"
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-json", "-count=1", "-timeout=20m", "-run="+pattern, "./web")
	cmd.Stderr = stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	results, err := read(pipe)
	if err != nil {
		return err
	}
	failed := cmd.Wait() != nil
	if err := results.print(stdout); err != nil {
		return err
	}
	if failed {
		return errors.New("the suite failed")
	}
	return nil
}

// event is a line printed by go test -json.
type event struct {
	Action, Test, Key, Value, Output string
}

// result is the outcome of one case.
type result struct {
	name, outcome, proves, sentence string

	output bytes.Buffer // shown if it failed
}

// results are the outcomes of one run.
type results struct {
	cases []*result
	other bytes.Buffer // not of a case: why the suite can't be built, for instance
}

// read collects results from the events.
func read(r io.Reader) (*results, error) {
	all, byName := &results{}, map[string]*result{}
	decoder := json.NewDecoder(r)
	for {
		var e event
		if err := decoder.Decode(&e); err == io.EOF {
			break
		} else if err != nil {
			return nil, fmt.Errorf("go test: %w", err)
		}
		name, isCase := strings.CutPrefix(e.Test, prefix)
		if !isCase || !strings.Contains(name, "/") {
			if e.Action == "output" && !strings.HasPrefix(e.Output, "===") {
				all.other.WriteString(e.Output)
			}
			continue
		}
		c := byName[name]
		if c == nil {
			c = &result{name: name}
			byName[name] = c
			all.cases = append(all.cases, c)
		}
		c.add(e)
	}
	slices.SortFunc(all.cases, func(a, b *result) int { return cmp.Compare(a.name, b.name) })
	return all, nil
}

// add adds an event of the case.
func (r *result) add(e event) {
	switch {
	case e.Action == "attr" && e.Key == "proves":
		r.proves = e.Value
	case e.Action == "attr" && e.Key == "sentence":
		r.sentence = e.Value
	case e.Action == "pass", e.Action == "fail", e.Action == "skip":
		r.outcome = e.Action
	case e.Action == "output" && !strings.HasPrefix(e.Output, "==="):
		r.output.WriteString(e.Output)
	}
}

// print prints the table, then the output of failed cases.
func (r *results) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	area, failed := "", 0
	for _, c := range r.cases {
		if now, _, _ := strings.Cut(c.name, "/"); now != area {
			area = now
			fmt.Fprintf(t, "\n%s\t\t\n", area)
		}
		if c.outcome != "pass" {
			failed++
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", cmp.Or(c.outcome, "lost"), c.proves, c.sentence)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, c := range r.cases {
		if c.outcome != "pass" {
			fmt.Fprintf(w, "\n%s\n%s", c.name, c.output.Bytes())
		}
	}
	fmt.Fprintf(w, "\n%d cases, %d failed\n", len(r.cases), failed)
	if len(r.cases) == 0 || failed == 0 && bytes.Contains(r.other.Bytes(), []byte("FAIL")) {
		fmt.Fprintf(w, "%s", r.other.Bytes())
	}
	return nil
}
