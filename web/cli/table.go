package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"vivarium/web/api"
)

// printJSON prints a value for scripts.
func printJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(v)
	if err == nil {
		_, err = w.Write(harmlessJSON(b.Bytes()))
	}
	if err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// printTable prints rows in columns, below a heading.
func printTable(w io.Writer, head string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(strings.Fields(head), "\t"))
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			if cells[i] = strings.Join(strings.Fields(harmless(cell)), " "); cells[i] == "" {
				cells[i] = "-"
			}
		}
		fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// printFields prints names with their values, without those that are empty.
func printFields(w io.Writer, fields ...[2]string) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, f := range fields {
		if f[1] != "" {
			fmt.Fprintf(t, "%s\t%s\n", f[0], strings.ReplaceAll(harmless(f[1]), "\n", "\n\t"))
		}
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// timeText formats a time for people, in their own time zone; empty for none.
func timeText(t api.Time) string {
	if time.Time(t).IsZero() {
		return ""
	}
	return time.Time(t).Local().Format("2006-01-02 15:04:05")
}
