package events

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// descriptors are the named expressions, as the five fields of Unix.
var descriptors = map[string]string{
	"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
	"@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}

// CloudCron returns a cron expression of a timer as the cloud has it: in UTC, with a ?
// as day or weekday, and a year.
//
// # Errors
//
// One that says what of it the cloud can't have, or why it is no cron expression.
func CloudCron(text, zone string) (string, error) {
	if _, err := parseCron(text, time.UTC); err != nil {
		return "", err
	}
	if zone != "" && zone != time.UTC.String() {
		return "", fmt.Errorf("its times are those of %s, and the cloud's timers are in UTC", zone)
	}
	if named := descriptors[strings.ToLower(text)]; named != "" {
		text = named
	}
	fields := strings.Fields(text)
	switch n := len(fields); {
	case strings.HasPrefix(text, "@"):
		return "", fmt.Errorf("%s counts from when the timer was made", text)
	case (n == 5 || n == 6) && (fields[2] == "?" || fields[4] == "?"): // as it should be
		if n == 5 {
			fields = append(fields, "*")
		}
		return strings.Join(fields, " "), nil
	case n == 6 && strings.Trim(fields[0], "0") != "":
		return "", errors.New("it has seconds")
	case n == 6:
		fields = fields[1:]
	}
	day, weekday := fields[2], fields[4]
	switch anyDay, anyWeekday := anyTime(day), anyTime(weekday); {
	case anyWeekday && anyDay:
		day, weekday = "*", "?"
	case anyWeekday:
		weekday = "?"
	case anyDay:
		days, err := cloudWeekdays(weekday)
		if err != nil {
			return "", err
		}
		day, weekday = "?", days
	default:
		return "", errors.New("it has both days and weekdays")
	}
	return strings.Join([]string{fields[0], fields[1], day, fields[3], weekday, "*"}, " "), nil
}

func anyTime(field string) bool { return field == "*" || field == "?" || field == "*/1" }

// cloudWeekdays translates Unix's weekdays, which count from 0, Sunday, to a list of the
// cloud's, which count from 1.
func cloudWeekdays(field string) (string, error) {
	var days []string
	for entry := range strings.SplitSeq(field, ",") {
		span, stepText, stepped := strings.Cut(entry, "/")
		first, last, step := 0, 6, 1
		if span != "*" && span != "?" {
			from, to, ranged := strings.Cut(span, "-")
			if !ranged && !stepped {
				to = from
			} else if !ranged {
				to = "6"
			}
			var ok, both bool
			first, ok = unixWeekdayNumber(from)
			last, both = unixWeekdayNumber(to)
			if !ok || !both {
				return "", fmt.Errorf("%s is no weekday", entry)
			}
		}
		if stepped {
			n, err := strconv.Atoi(stepText)
			if err != nil || n < 1 {
				return "", fmt.Errorf("%s is no weekday", entry)
			}
			step = n
		}
		for n := first; n <= last; n += step {
			if day := strconv.Itoa(n + 1); !slices.Contains(days, day) {
				days = append(days, day)
			}
		}
	}
	slices.Sort(days)
	return strings.Join(days, ","), nil
}

func unixWeekdayNumber(text string) (int, bool) {
	if n, err := strconv.Atoi(text); err == nil {
		return n, n >= 0 && n <= 6
	}
	n, ok := cronNames[strings.ToLower(text)]
	return n - 1, ok
}
