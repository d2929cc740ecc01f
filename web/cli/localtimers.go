package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"vivarium/host/access"
	"vivarium/host/events"
)

// setLocalTimers makes the timers of a function in memory what a projectFile says now, of
// which it said was before. Others of the function stay: somebody has made them meanwhile.
// They call the one version that there is, whatever tag they name.
func setLocalTimers(ctx context.Context, all *events.Events, function string, was, now map[string]timerFlags) error {
	var failed error
	for _, name := range slices.Sorted(maps.Keys(was)) {
		if flags, ok := now[name]; !ok || flags != was[name] {
			_, err := all.DeleteTimer(ctx, access.Operator, name)
			failed = errors.Join(failed, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(now)) {
		flags, ok := was[name]
		if ok && flags == now[name] {
			continue
		}
		flags = now[name]
		_, err := all.CreateTimer(ctx, access.Operator, events.TimerSpec{
			Name: name, Function: function, Cron: flags.Cron, TimeZone: flags.TimeZone, Payload: flags.Payload,
		})
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("timer %s: %w", name, err))
		}
	}
	return failed
}
