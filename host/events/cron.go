package events

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/cronexpr"
	"github.com/robfig/cron/v3"
)

// cronForms describes what parseCron takes.
const cronForms = "minute hour day month weekday [year] with ? as day or weekday, as in the cloud; " +
	"[second] minute hour day month weekday; or @hourly and such"

var cronParser = cron.NewParser(
	cron.SecondOptional | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)

// parseCron returns the schedule of an expression in a time zone.
//
// An expression with a ? where the cloud has the day or the weekday is the cloud's
// (contract §2.2): weekdays count from 1, Sunday, there is a year, and L, W and #.
// Others are those of Unix, where they count from 0; six fields begin with seconds.
func parseCron(text string, zone *time.Location) (cron.Schedule, error) {
	fields := strings.Fields(text)
	if n := len(fields); (n == 5 || n == 6) && (fields[2] == "?" || fields[4] == "?") {
		return parseCloudCron(fields, zone)
	}
	return cronParser.Parse("CRON_TZ=" + zone.String() + " " + text)
}

func parseCloudCron(fields []string, zone *time.Location) (cron.Schedule, error) {
	if fields[2] == fields[4] {
		return nil, fmt.Errorf("only one of day and weekday can be ?")
	}
	for i, field := range fields {
		entries := strings.Split(field, ",")
		for e, entry := range entries {
			err := checkRange(entry)
			if err == nil && i == 4 {
				entries[e], err = unixWeekday(entry)
			}
			if err != nil {
				return nil, err
			}
		}
		fields[i] = strings.Join(entries, ",")
	}
	expression, err := cronexpr.Parse(strings.Join(fields, " "))
	if err != nil {
		return nil, err
	}
	return &cloudSchedule{expression, zone}, nil
}

// cloudSchedule is a schedule in the cloud's form.
type cloudSchedule struct {
	expression *cronexpr.Expression
	zone       *time.Location
}

// Next implements cron.Schedule.
func (s *cloudSchedule) Next(t time.Time) time.Time {
	e := *s.expression // Next changes it
	return e.Next(t.In(s.zone))
}

// cronNames are the names of months and weekdays, by their numbers in the cloud.
var cronNames = map[string]int{
	"jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12,
	"sun": 1, "mon": 2, "tue": 3, "wed": 4, "thu": 5, "fri": 6, "sat": 7,
}

func cronNumber(text string) (n int, ok bool) {
	if n, ok = cronNames[strings.ToLower(text)]; ok {
		return n, true
	}
	n, err := strconv.Atoi(text)
	return n, err == nil
}

// checkRange refuses a range that contains nothing, for which the parser has no error.
func checkRange(entry string) error {
	entry, _, _ = strings.Cut(entry, "/")
	from, to, _ := strings.Cut(entry, "-")
	first, ok := cronNumber(from)
	last, both := cronNumber(to)
	if ok && both && first > last {
		return fmt.Errorf("the range %s ends before it begins", entry)
	}
	return nil
}

// unixWeekday translates an entry of the cloud's weekdays, 1 to 7, to Unix's, 0 to 6.
func unixWeekday(entry string) (string, error) {
	if strings.EqualFold(entry, "L") {
		return "sat", nil
	}
	end := strings.IndexAny(entry, "/#") // what follows is no weekday
	if end < 0 {
		end = len(entry)
	}
	days := strings.Split(entry[:end], "-")
	for i, day := range days {
		digits := strings.TrimRight(day, "lL") // "6L" is the month's last Friday
		n, err := strconv.Atoi(digits)
		if err != nil {
			continue // a name, or an error that the parser reports
		}
		if n < 1 || n > 7 {
			return "", fmt.Errorf("the weekday %s must be one of 1 (Sunday) to 7, or SUN to SAT", day)
		}
		days[i] = strconv.Itoa(n-1) + day[len(digits):]
	}
	return strings.Join(days, "-") + entry[end:], nil
}
