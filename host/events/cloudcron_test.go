package events

import (
	"strings"
	"testing"
	"time"
)

// The translation has the times of the original, for years.
func TestCloudCron_HasTheSameTimes(t *testing.T) {
	for _, text := range []string{
		"0 3 * * *", "*/5 * * * *", "15 10,14 1 * *", "0 0 1-7 1,6 *", "30 8 * * 1-5", "0 12 * * SUN", "0 12 * * 0,6", "0 12 * * */2",
		"0 12 * * 1-6/2", "0 12 * * 3/2", "0 12 */1 * mon,FRI", "0 12 ? * 2", "0 0 12 * * *", "00 5 4 * * 6", "@hourly", "@daily", "@weekly", "@monthly",
		"@yearly", "@midnight", "@annually", "0 10 ? * 2 *", "0 10 ? * MON-FRI", "0 10 L * ? *", "0 10 * * ? 2030", "0 9 ? * 6#2 *",
	} {
		cloud, err := CloudCron(text, "UTC")
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		fields := strings.Fields(cloud)
		if len(fields) != 6 || (fields[2] == "?") == (fields[4] == "?") {
			t.Errorf("%s: %s is not the cloud's form", text, cloud)
		}
		want, err := parseCron(text, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseCron(cloud, time.UTC)
		if err != nil {
			t.Errorf("%s: %s: %v", text, cloud, err)
			continue
		}
		a, b := time.Date(2026, 2, 27, 1, 2, 3, 0, time.UTC), time.Date(2026, 2, 27, 1, 2, 3, 0, time.UTC)
		for range 300 {
			if a, b = want.Next(a), got.Next(b); !a.Equal(b) {
				t.Errorf("%s: %s comes at %v, want %v", text, cloud, b, a)
				break
			}
			if a.IsZero() || a.Year() > 2090 { // the cloud's years end with 2099
				break
			}
		}
	}
}

func TestCloudCron_SaysWhatTheCloudCanNotHave(t *testing.T) {
	for _, c := range [][3]string{
		{"0 3 * * *", "Europe/Berlin", "UTC"}, {"*/10 * * * * *", "", "seconds"}, {"30 0 3 * * *", "", "seconds"},
		{"0 0 13 * 5", "", "both"}, {"@every 5m", "", "counts from"}, {"nonsense", "", "fields"},
	} {
		if got, err := CloudCron(c[0], c[1]); err == nil || !strings.Contains(err.Error(), c[2]) {
			t.Errorf("%s in %s: got %s, %v", c[0], c[1], got, err)
		}
	}
}
