package processes

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkCoordinatorMemory reports the most memory that the coordinator's process
// has held (VmHWM) over the start of a run, one round of it and the export of the
// model, as a multiple of the 4 bytes of each coordinate. The clients are in one
// process and take turns at training and sealing.
func BenchmarkCoordinatorMemory(b *testing.B) {
	clients, values := *clientsFlag, *valuesFlag
	for b.Loop() {
		w := newWorld(b)
		w.patience = time.Hour
		idle := peak(b, w.coordinator)
		devices := make([]device, clients)
		for i := range devices {
			devices[i] = w.device(i, clients)
		}
		model := w.begin(terms{clients: clients, minimum: min(clients, 16), rounds: 1, values: values, exchange: time.Hour, upload: time.Hour})
		started := peak(b, w.coordinator)
		watch := w.watch()
		w.launch(devices...)
		a := w.ended(watch, 1).Attempt
		require.Equal(b, clients, a.Survivors, a.Reason)
		released := peak(b, w.coordinator)
		w.requireExact(model, 1, clients, all(clients))
		most := peak(b, w.coordinator)
		b.ReportMetric(float64(idle)/1e6, "MB-idle")
		b.ReportMetric(float64(started)/1e6, "MB-started")
		b.ReportMetric(float64(released)/1e6, "MB-released")
		b.ReportMetric(float64(most)/1e6, "MB-most")
		b.ReportMetric(float64(most)/float64(4*values), "most/4d")
	}
}

var highWater = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`)

// peak returns the most bytes of memory that a process has held so far.
func peak(b *testing.B, p *process) int64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	require.NoError(b, err)
	found := highWater.FindSubmatch(status)
	require.NotNil(b, found, "%s", status)
	n, err := strconv.ParseInt(string(found[1]), 10, 64)
	require.NoError(b, err)
	return n << 10
}
