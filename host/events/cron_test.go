package events

import (
	"strings"
	"testing"
	"time"
)

// Expressions as users of the cloud have them, and as those of Unix have them.
func TestCron_TicksAsItsFormSays(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text string
		zone *time.Location
		want string // the first ticks after Thursday, 2026-01-01 00:00:30 UTC
	}{
		{"* * * * ? *", time.UTC, "01-01T00:01 01-01T00:02"},
		{"0 * ? * * *", time.UTC, "01-01T01:00 01-01T02:00"},
		{"15 10 ? * *", time.UTC, "01-01T10:15 01-02T10:15"},
		{"0 9 ? * 2 *", time.UTC, "01-05T09:00 01-12T09:00"}, // Mondays
		{"0 9 ? * 1", time.UTC, "01-04T09:00 01-11T09:00"},   // Sundays
		{"0 9 ? * 2-6", time.UTC, "01-01T09:00 01-02T09:00 01-05T09:00"},
		{"0 9 ? * MON,wed,7 *", time.UTC, "01-03T09:00 01-05T09:00 01-07T09:00"},
		{"0 9 ? * 2/3 *", time.UTC, "01-01T09:00 01-05T09:00 01-08T09:00"}, // Mondays, Thursdays
		{"0 9 ? * L *", time.UTC, "01-03T09:00 01-10T09:00"},
		{"0 9 ? * 6L *", time.UTC, "01-30T09:00 02-27T09:00"},
		{"0 9 ? * 6#3 *", time.UTC, "01-16T09:00 02-20T09:00"},
		{"0 0 L * ? *", time.UTC, "01-31T00:00 02-28T00:00"},
		{"0 0 LW * ? *", time.UTC, "01-30T00:00 02-27T00:00"},
		{"0 0 15W * ? *", time.UTC, "01-15T00:00 02-16T00:00"},
		{"0/30 0 10 FEB-MAR ? 2026", time.UTC, "02-10T00:00 02-10T00:30 03-10T00:00 03-10T00:30 -"},
		{"0 12 1 1 ? 2027-2099", time.UTC, "01-01T12:00 01-01T12:00"},
		{"30 2 ? 3 * *", berlin, "03-01T02:30"},
		{"0 9 * * 1", time.UTC, "01-05T09:00 01-12T09:00"},
		{"*/30 * * * * *", time.UTC, "01-01T00:01 01-01T00:01"},
		{"@monthly", time.UTC, "02-01T00:00 03-01T00:00"},
	} {
		s, err := parseCron(c.text, c.zone)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		var got []string
		for at := time.Date(2026, 1, 1, 0, 0, 30, 0, time.UTC); len(got) < len(strings.Fields(c.want)); {
			if at = s.Next(at); at.IsZero() {
				got = append(got, "-")
			} else {
				got = append(got, at.Format("01-02T15:04"))
			}
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%s: got %s, want %s", c.text, text, c.want)
		}
	}
}

func TestCron_SaysWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"0 9 ? * ? *":        "only one of day and weekday",
		"0 9 ? * 0 *":        "1 (Sunday) to 7",
		"0 9 ? * 8":          "1 (Sunday) to 7",
		"0 9 ? * 6-2 *":      "ends before it begins",
		"30-10 9 ? * * *":    "ends before it begins",
		"0 9 1 DEC-JAN ? *":  "ends before it begins",
		"0 9 1 * ? 2030-26":  "ends before it begins",
		"0 9 ? * 6#6 *":      "day-of-week",
		"0 9 32 * ? *":       "day-of-month",
		"0/0 9 ? * * *":      "interval",
		"0 9 ? * * 1969":     "year",
		"0 9 ? * * * *":      "fields",
		"61 9 ? * *":         "minute",
		"0 9 ? * FRI-MON-2 ": "day-of-week",
	} {
		if _, err := parseCron(text, time.UTC); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

// FuzzCron looks for expressions that are taken and then end the process or its clock.
func FuzzCron(f *testing.F) {
	for _, text := range []string{
		"* * * * ? *", "0 9 ? * 6#3 *", "0 0 15W,L * ? 2027/3", "1-5/2 */4 ? JAN-MAR 2-6,L", "@every 5m", "0 0 31 2 ? *", "* * * * * *",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseCron(text, time.UTC)
		if err != nil {
			return
		}
		started, at := time.Now(), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		for range 3 {
			next := s.Next(at)
			if next.IsZero() {
				break
			}
			if !next.After(at) {
				t.Fatalf("%q ticks at %v after %v", text, next, at)
			}
			at = next
		}
		if took := time.Since(started); took > 5*time.Second {
			t.Errorf("%q takes %v", text, took)
		}
	})
}
