package processes

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/oneshot"
	"github.com/choir-fl/choir/secagg/pairwise"
	"github.com/choir-fl/choir/tensor"
)

// world is a coordinator in a process of its own, its operator, and what clients need.
type world struct {
	*board
	dir         string // of everything
	config      string // further lines of the coordinator's configuration
	coordinator *process
	address     string
}

func newWorld(t testing.TB, config ...string) *world {
	t.Helper()
	watchSources(t)
	w := &world{board: newBoard(t), dir: t.TempDir(), config: strings.Join(config, "\n"), address: "127.0.0.1:0"}
	w.serve()
	return w
}

func (w *world) path(elem ...string) string {
	return filepath.Join(append([]string{w.dir}, elem...)...)
}

// file writes a file and returns its path.
func (w *world) file(name, content string) string {
	w.t.Helper()
	require.NoError(w.t, os.WriteFile(w.path(name), []byte(content), 0o600))
	return w.path(name)
}

// serve starts the coordinator on what its directory holds: the first time on a
// free port, afterwards on the same.
func (w *world) serve() {
	w.t.Helper()
	config := w.file("coordinator.yaml", "listen: "+w.address+"\ndata_dir: data\nlog: {format: json}\n"+w.config+"\n")
	w.coordinator = w.start("coordinator", "", choir, "coordinator", "-c", config)
	var serving struct{ Address string }
	require.NoError(w.t, json.Unmarshal([]byte(w.coordinator.await(`"msg":"serving"`)), &serving))
	first := strings.HasSuffix(w.address, ":0")
	w.address = serving.Address
	if first {
		w.coordinator.await(`"msg":"operator enrolled"`)
	}
}

// run runs a choir command to its end and returns its output and exit code.
func (w *world) run(args ...string) (stdout, stderr string, code int) {
	w.t.Helper()
	return runChoir(w.t, w.address, w.path("data", "operators", "operator.pem"), args...)
}

// runChoir runs a choir command to its end as the operator of a coordinator.
func runChoir(t testing.TB, address, operator string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, choir, args...)
	cmd.Env = append(os.Environ(), "CHOIR_ADDRESS="+address, "CHOIR_OPERATOR="+operator)
	var out, errOut strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
	}
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}

// do runs a choir command that must succeed and returns what it printed.
func (w *world) do(args ...string) string {
	w.t.Helper()
	out, errOut, code := w.run(args...)
	require.Zero(w.t, code, "choir %s: %s%s", strings.Join(args, " "), out, errOut)
	return strings.TrimSpace(out)
}

// enrol makes a client's credentials and returns their file.
func (w *world) enrol(name string) string {
	w.t.Helper()
	file := w.path(name + ".pem")
	w.do("enroll", "--address", w.address, "--token", w.do("token", "--client", name), "--file", file)
	return file
}

// device enrols client i of n.
func (w *world) device(i, n int) device {
	w.t.Helper()
	name := fmt.Sprintf("client-%02d", i)
	return device{Address: w.address, Credentials: w.enrol(name), State: w.path(name), Index: i, Clients: n}
}

// launch starts devices in one process.
func (w *world) launch(devices ...device) *process {
	w.t.Helper()
	b, err := json.Marshal(devices)
	require.NoError(w.t, err)
	return w.start(fmt.Sprintf("client-%02d", devices[0].Index), "devices", crowd, string(b))
}

// terms is what tests vary in a plan.
type terms struct {
	clients, minimum, rounds, values int
	exchange, upload                 time.Duration
	admission                        time.Duration // 0 for as long as the tests are patient
	committee                        string        // file of the committee that opens the sums; empty for none
	dropout                          float64       // share of the clients that may vanish
	buckets                          plan.Buckets  // none for one sum
	closeAt                          int           // uploads; 0 for all
}

// plan writes a plan of a job "job" over a flat model, and that model as a ramp.
func (w *world) plan(x terms) (planFile, modelFile string) {
	w.t.Helper()
	scheme := plan.Scheme{Name: pairwise.Name, CrossSilo: x.minimum < 16}
	if x.committee != "" {
		scheme = plan.Scheme{Name: oneshot.Name, CrossSilo: x.clients < 16, Dropout: x.dropout, CommitteeFile: x.committee}
	}
	// Not the number of survivors: dividing by it would round.
	aggregation := plan.Aggregation{Denominator: string(secagg.DenominatorFixed), Buckets: x.buckets}
	if x.buckets != (plan.Buckets{}) {
		aggregation.View = secagg.ViewBucketMeans.String()
	}
	text, err := plan.Literal{
		Schema: secagg.PlanSchema, Job: "job",
		Model:     plan.Model{Tensors: []plan.Tensor{{Name: "w", Shape: []int{x.values}}}, Initial: "initial.safetensors"},
		Scheme:    scheme,
		Cohort:    plan.Cohort{Size: x.clients, Minimum: x.minimum, CloseAt: x.closeAt},
		Rounds:    plan.Rounds{Count: x.rounds},
		Deadlines: plan.Deadlines{Admission: cmp.Or(x.admission, patience), Exchange: x.exchange, Upload: x.upload},
		Encoding:  plan.Encoding{ClipNorm: 1 << 10, Bits: 24, Scale: 1 / resolution},
		Training:  plan.Training{Epochs: 1, BatchSize: 1, LearningRate: 1}, Aggregation: aggregation,
		Privacy: plan.Privacy{Mode: "none", TrustCoordinator: true},
	}.Format()
	require.NoError(w.t, err)
	schema, err := tensor.NewSchema([]tensor.Spec{{Name: "w", Shape: []int{x.values}}})
	require.NoError(w.t, err)
	m := tensor.Zero(schema)
	for i := range m.Values() {
		m.Values()[i] = float32(i%97) * resolution
	}
	return w.file("plan.yaml", text), w.initial(m)
}

// initial writes the model that runs begin with, and returns its file.
func (w *world) initial(m tensor.Model) string {
	w.t.Helper()
	f, err := os.Create(w.path("initial.safetensors"))
	require.NoError(w.t, err)
	require.NoError(w.t, tensor.WriteSafetensors(f, m))
	require.NoError(w.t, f.Close())
	return f.Name()
}

// restart kills the coordinator, and starts it again.
func (w *world) restart() {
	w.t.Helper()
	w.coordinator.kill()
	w.serve()
}

// begin starts the run of a plan and returns the model that it starts from.
func (w *world) begin(x terms) tensor.Model {
	w.t.Helper()
	planFile, modelFile := w.plan(x)
	w.do("run", "start", planFile)
	return w.model(modelFile)
}

// model reads a model file.
func (w *world) model(name string) tensor.Model {
	w.t.Helper()
	f, err := os.Open(name)
	require.NoError(w.t, err)
	defer f.Close()
	info, err := f.Stat()
	require.NoError(w.t, err)
	m, err := tensor.ReadSafetensors(f, info.Size())
	require.NoError(w.t, err)
	return m
}

// export returns the latest model of the run.
func (w *world) export() tensor.Model {
	w.t.Helper()
	w.do("run", "export", "job", "-o", w.path("exported.safetensors"))
	return w.model(w.path("exported.safetensors"))
}

// attempt is a line of choir run watch --json.
type attempt struct {
	Schema  string
	Attempt *struct {
		Round, Attempt, Admitted, Survivors, Buckets int
		Released                                     bool
		Reason                                       string
		Culprits                                     []string
		Evaluation                                   *struct{ Accuracy float64 }
		Model                                        string
		Holdout                                      *struct{ Accuracy float64 }
		RolledBack                                   bool `json:"rolled_back"`
		Alerts                                       []alert
		Quarantined                                  int
	}
	State *struct{ Status, Phase string }
}

// alert is one of an attempt's, or of a run's.
type alert struct{ Name, What string }

// watch begins to watch the run.
func (w *world) watch() *process {
	w.t.Helper()
	return w.start("watch", "", choir, "run", "watch", "job", "--json", "--address", w.address, "--operator", w.path("data", "operators", "operator.pem"))
}

// ended waits until an attempt of a round ends and returns how the first one did.
func (w *world) ended(watch *process, round int) attempt {
	w.t.Helper()
	return w.ending(watch, fmt.Sprintf(`"attempt":{"round":%d,`, round))
}

// ending waits for a line about an attempt that has ended.
func (w *world) ending(watch *process, what string) attempt {
	w.t.Helper()
	var a attempt
	text := watch.await(what)
	require.NoError(w.t, json.Unmarshal([]byte(text), &a), text)
	return a
}

// requireExact demands that the run's model is, value for value, the one before
// with the survivors' updates of a round.
func (w *world) requireExact(before tensor.Model, round uint32, clients int, survivors []int) tensor.Model {
	w.t.Helper()
	got := w.export()
	var found []int
	for i := range clients {
		if got.Values()[i] != before.Values()[i] {
			found = append(found, i)
		}
	}
	require.Equal(w.t, survivors, found, "whose updates are in the sum of round %d", round)
	want := expected(before, round, clients, survivors)
	require.Equal(w.t, want.Digest(), got.Digest(), "sum of round %d", round)
	return got
}
