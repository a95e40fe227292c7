package sim

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/secagg/oneshot"
	"github.com/choir-fl/choir/sim/dataset"
)

var (
	largeClients = flag.Int("large.clients", 100, "clients of TestLargeCohortKeepsUploadsAndLettersOutOfMemory")
	largeWidth   = flag.Int("large.width", 330, "width of its hidden layer: 397 parameters for each")
)

// A cohort whose uploads do not fit into memory: they are spooled to a directory,
// added as they are judged, checkpointed and freed, and letters are streamed to the
// decryptors. The figure in docs/FIGURES.md is that of 10,000 clients:
//
//	go test ./sim -run LargeCohort -v -args -large.clients=10000
func TestLargeCohortKeepsUploadsAndLettersOutOfMemory(t *testing.T) {
	n := *largeClients
	train := blobs(t, 2*n, 392, 4)
	parts, err := dataset.IID(train.Labels(), n, 1)
	require.NoError(t, err)
	cfg := Config{Plan: smallPlan(oneshot.Name, n, 1), Schemes: allSchemes, Train: train, Test: blobs(t, 40, 392, 4), Partition: parts, Seed: 1,
		Scratch: t.TempDir(), CheckpointBytes: 128 << 20}
	cfg.Plan.Model.Architecture = fmt.Sprintf("mlp:%d", *largeWidth)
	cfg.Plan.Scheme.Corrupt, cfg.Plan.Scheme.Dropout = 0.01, 0.1
	cfg.Plan.Scheme.Committee.Members = make([]plan.Member, 5)
	cfg.Plan.Encoding.Bits = 14
	cfg.Plan.Training = plan.Training{Epochs: 1, BatchSize: 2, LearningRate: 0.1}
	cfg.Plan.Deadlines.Upload = time.Hour
	cfg.Faults = Faults{Dropout: 0.1, Points: []Point{BeforeUpload, DuringUpload}}
	cfg.Devices.TrainPerExample = time.Duration(n) * 2 * time.Millisecond // devices of many speeds do not all upload at once
	began := time.Now()
	cfg.Stopwatch = func() time.Duration { return time.Since(began) }
	res, err := Run(cfg)
	require.NoError(t, err)
	require.Equal(t, 1, res.Final.RoundsCompleted)
	require.Zero(t, res.Final.RoundsFailed)
	require.Equal(t, n-n/10, res.Rounds[0].Survivors)
	t.Logf("%d clients, %d parameters, %d survivors, %.0f bytes up each, %.1f s, %s", n, res.Config.Parameters, res.Rounds[0].Survivors,
		res.Rounds[0].BytesUp, time.Since(began).Seconds(), peakMemory())
}

// peakMemory is the most memory that this process has used, where the system says.
func peakMemory() string {
	b, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "VmHWM:") {
			return strings.TrimSpace(line)
		}
	}
	return "peak memory unknown"
}
