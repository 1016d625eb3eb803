package check

import (
	"cmp"
	"context"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

func processors(_ context.Context, n *node) []Line {
	const name = "processors"
	count := runtime.NumCPU()
	load, err := read(n.root, "proc/loadavg")
	if err != nil {
		return []Line{unknown(name, err)}
	}
	first := cmp.Or(strings.Fields(load + " -")[0], "-")
	if v, err := strconv.ParseFloat(first, 64); err == nil && v > 2*float64(count) {
		return []Line{warning(name, "%d, load %s", count, first).
			why("an agent that waits for a processor reacts late to what is revoked")}
	}
	return []Line{ok(name, "%d, load %s", count, first)}
}

// slowClocks are clock sources that each reading of the time must ask a device for.
var slowClocks = []string{"acpi_pm", "hpet", "jiffies", "pit", "refined-jiffies"}

func clock(_ context.Context, n *node) []Line {
	const name, file = "clock", "sys/devices/system/clocksource/clocksource0/current_clocksource"
	source, err := read(n.root, file)
	if err != nil {
		return []Line{unknown(name, err)}
	}
	if slices.Contains(slowClocks, source) {
		return []Line{warning(name, "%s", source).
			why("each reading of the time costs a microsecond or more, in OVS and in the agent").
			fix("cat /sys/devices/system/clocksource/clocksource0/available_clocksource", "dmesg | grep -i clocksource # why tsc was given up")}
	}
	return []Line{ok(name, "%s", source)}
}
