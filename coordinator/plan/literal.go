// Package plan turns a job's plan, as written by a person, into a checked value
// that cannot contradict itself.
//
// A Literal mirrors the YAML file field by field and may hold anything. Check
// returns an immutable Plan or one error for each contradiction found. Nothing
// about privacy is defaulted: a plan that opens exact sums must say that it
// trusts its coordinator with them.
package plan

import "time"

// Literal is a plan as written. Zero values take the defaults named here.
type Literal struct {
	Schema      string      `yaml:"schema"` // choir.plan/1
	Job         string      `yaml:"job"`
	Model       Model       `yaml:"model"`
	Scheme      Scheme      `yaml:"scheme"`
	Cohort      Cohort      `yaml:"cohort"`
	Rounds      Rounds      `yaml:"rounds"`
	Deadlines   Deadlines   `yaml:"deadlines"`
	Devices     Devices     `yaml:"devices,omitempty"`
	Encoding    Encoding    `yaml:"encoding"`
	Training    Training    `yaml:"training"`
	Aggregation Aggregation `yaml:"aggregation,omitempty"`
	Optimizer   Optimizer   `yaml:"optimizer,omitempty"`
	Privacy     Privacy     `yaml:"privacy"`
	Evaluation  Evaluation  `yaml:"evaluation,omitempty"`
	Screening   Screening   `yaml:"screening,omitempty"`
	Stop        Stop        `yaml:"stop,omitempty"`
}

// Model names what is trained. Tensors may be left out of a file when the model
// is built in or its initial values come from a safetensors file: whoever loads
// the plan fills them in before Check.
type Model struct {
	Architecture string   `yaml:"architecture,omitempty"`
	Tensors      []Tensor `yaml:"tensors,omitempty"`
	// Initial is a safetensors file to start from, relative to the plan.
	Initial string `yaml:"initial,omitempty"`
}

// Tensor declares one float32 tensor.
type Tensor struct {
	Name  string `yaml:"name"`
	Shape []int  `yaml:"shape"`
}

// Scheme names the secure-aggregation scheme and what it must withstand.
type Scheme struct {
	Name      string  `yaml:"name"`
	Corrupt   float64 `yaml:"corrupt,omitempty"` // share of clients that may collude with the coordinator, in [0,1)
	Dropout   float64 `yaml:"dropout,omitempty"` // share of clients that may vanish in mid-round, in [0,1)
	CrossSilo bool    `yaml:"cross_silo,omitempty"`
	// CommitteeFile names the committee's file, relative to the plan; whoever loads
	// the plan fills in Committee from it before Check.
	CommitteeFile string    `yaml:"committee_file,omitempty"`
	Committee     Committee `yaml:"committee,omitempty"`
}

// Committee names the decryptors of a scheme that has them.
type Committee struct {
	Name string `yaml:"name"`
	// Corrupt is how many members may collude with the coordinator; default (m-1)/3.
	Corrupt int      `yaml:"corrupt,omitempty"`
	Members []Member `yaml:"members"`
}

// Member is a decryptor: key and signature on its entry, in base64.
type Member struct {
	ID        string `yaml:"id"`
	Key       string `yaml:"key"`
	Signature string `yaml:"signature"`
}

// Cohort says who takes part in a round.
type Cohort struct {
	Size    int `yaml:"size"`    // clients wanted
	Minimum int `yaml:"minimum"` // fewest in an opened sum
	// OverSelection invites ceil(Size*OverSelection) clients. Default 1; above 1,
	// uploads close as soon as Size of them are complete.
	OverSelection float64 `yaml:"over_selection,omitempty"`
	// CloseAt closes uploads once so many are complete, or at the deadline, whichever
	// is first: a buffered round. Default Size under over-selection, else nobody is
	// left behind before the deadline.
	CloseAt int `yaml:"close_at,omitempty"`
	// Selection is uniform (a fixed-size sample of the registered clients, drawn
	// with the coordinator's secret coins; the default), poisson (each of Population
	// registered clients by a secret coin of its own, Size of them in expectation), or
	// check-in (first come).
	Selection string `yaml:"selection,omitempty"`
	// Population is the most registered clients that poisson draws from.
	Population int `yaml:"population,omitempty"`
	// Participations is the most attempts of the job that a client takes part in; 0 for
	// no limit. Separation is the least difference of the numbers of two rounds that a
	// client takes part in; default 1.
	Participations int `yaml:"participations,omitempty"`
	Separation     int `yaml:"separation,omitempty"`
}

// Rounds bounds the run.
type Rounds struct {
	Count    int `yaml:"count"`
	Attempts int `yaml:"attempts,omitempty"` // most attempts at one round, 1 to 8; default 3
}

// Deadlines are durations such as 30s, each from the beginning of its phase.
type Deadlines struct {
	Admission time.Duration `yaml:"admission,omitempty"` // default 1m
	Exchange  time.Duration `yaml:"exchange,omitempty"`  // each message phase; default 1m
	Upload    time.Duration `yaml:"upload,omitempty"`    // training and uploading; default 30m
}

// Devices are conditions of check-in.
type Devices struct {
	Charging  bool `yaml:"charging,omitempty"`
	Unmetered bool `yaml:"unmetered,omitempty"`
	Idle      bool `yaml:"idle,omitempty"`
}

// Encoding says how floats become integers; see package field.
type Encoding struct {
	ClipNorm float64 `yaml:"clip_norm"`
	Bits     int     `yaml:"bits,omitempty"` // default 18
	Range    int64   `yaml:"range,omitempty"`
	Scale    float64 `yaml:"scale,omitempty"`
	WordBits int     `yaml:"word_bits,omitempty"`
}

// Training is passed to the clients' trainers.
type Training struct {
	Epochs       int     `yaml:"epochs"`
	BatchSize    int     `yaml:"batch_size"`
	LearningRate float64 `yaml:"learning_rate"`
	Momentum     float64 `yaml:"momentum,omitempty"`
	Prox         float64 `yaml:"prox,omitempty"`
	WeightCap    int     `yaml:"weight_cap,omitempty"`
	// WorkerMomentum is beta in [0,1) of the mean m = beta m + (1-beta) u of its own
	// updates u that a client sends in place of u, so that less of what is sent is chance
	// for attackers to hide in. 0 for none.
	WorkerMomentum float64 `yaml:"worker_momentum,omitempty"`
}

// Aggregation says what is made of the opened sums.
type Aggregation struct {
	Rule string `yaml:"rule,omitempty"` // mean (default), or another of package robust; rfa is applied by the clients
	// F is the number of Byzantine vectors that the rule withstands, among those that it
	// combines: bucket means, or clients under view vectors.
	F int `yaml:"f,omitempty"`
	// Byzantine is the share of clients that may send what they like, in [0,1); default
	// scheme.corrupt, and never less. Those beyond it poison, but keep to the scheme
	// otherwise and help nobody to open sums. Under privacy mode distributed there are none
	// of them: whoever poisons may leave its noise out.
	Byzantine float64 `yaml:"byzantine,omitempty"`
	// Pre are what vectors go through before the rule, in this order: clip:NORM, arc, nnm,
	// bucketing:SIZE.
	Pre []string `yaml:"pre,omitempty"`
	// Parameters are the rule's own; Compat is byzfl or flower, whose conventions it then
	// follows. See package robust.
	Parameters  map[string]string `yaml:"parameters,omitempty"`
	Compat      string            `yaml:"compat,omitempty"`
	Denominator string            `yaml:"denominator,omitempty"` // weights (default) or fixed
	// View is sum (default), bucket_means: a rule then combines the means of Buckets,
	// each of which is opened alone; or vectors: a trusted coordinator combines the
	// clients' own.
	View    string  `yaml:"view,omitempty"`
	Buckets Buckets `yaml:"buckets,omitempty"`
	// Fallback is bucket_means, under view sum, to open Buckets in the next attempts
	// after one whose sum was spoiled.
	Fallback string `yaml:"fallback,omitempty"`
}

// Buckets divides a cohort. With n clients there are floor(n/Size), whose sizes
// differ by at most one.
type Buckets struct {
	Size    int `yaml:"size,omitempty"`
	Minimum int `yaml:"minimum,omitempty"` // fewest clients in an opened bucket
}

// Optimizer is the server's; see package optimizer.
type Optimizer struct {
	Name         string  `yaml:"name,omitempty"` // fedavg (default), fedavgm, fedadam, fedyogi, fedadagrad
	LearningRate float64 `yaml:"learning_rate,omitempty"`
	Momentum     float64 `yaml:"momentum,omitempty"`
	Beta1        float64 `yaml:"beta1,omitempty"`
	Beta2        float64 `yaml:"beta2,omitempty"`
	Tau          float64 `yaml:"tau,omitempty"`
}

// Privacy states the noise in the sum. Nothing in it has a default but Population and
// Mechanism.
type Privacy struct {
	Mode             string `yaml:"mode"` // none, central, distributed, local
	TrustCoordinator bool   `yaml:"trust_coordinator,omitempty"`
	// Population names those whose budget is spent. Jobs that name the same one share
	// it. Default: the job alone.
	Population string `yaml:"population,omitempty"`
	// Mechanism is dgauss (default) or skellam; under mode central also tree,
	// bandmf or blt, whose noise is correlated between rounds.
	Mechanism string `yaml:"mechanism,omitempty"`
	// Bands is the number of rounds that bandmf correlates; default Separation. Buffers
	// is the number of buffers of blt; default 3.
	Bands    int    `yaml:"bands,omitempty"`
	Buffers  int    `yaml:"buffers,omitempty"`
	Relation string `yaml:"relation,omitempty"` // zero-out or replace-one
	// NoiseMultiplier is the standard deviation of the noise in each opened sum over
	// encoding.clip_norm; with an adapting clip norm, of the joint release. Without it
	// the noise is calibrated so that all rounds spend Epsilon.
	NoiseMultiplier float64 `yaml:"noise_multiplier,omitempty"`
	Delta           float64 `yaml:"delta,omitempty"`
	// Epsilon is the budget of those who see released models, EpsilonCoordinator that
	// of those who see rosters: a run stops before it spends more. 0 for none of the
	// latter.
	Epsilon            float64  `yaml:"epsilon,omitempty"`
	EpsilonCoordinator float64  `yaml:"epsilon_coordinator,omitempty"`
	Clipping           Clipping `yaml:"clipping,omitempty"`
}

// Clipping adapts the clip norm to a quantile of the clients' norms (Andrew et al.
// 2021), beginning at encoding.clip_norm. The zero value keeps it fixed.
type Clipping struct {
	Quantile float64 `yaml:"quantile,omitempty"` // in (0,1)
	Rate     float64 `yaml:"rate,omitempty"`     // default 0.2
	Floor    float64 `yaml:"floor,omitempty"`
	Ceiling  float64 `yaml:"ceiling,omitempty"`
	// BitNoise is the noise in the sum of the clients' bits; default a twentieth of the
	// cohort.
	BitNoise float64 `yaml:"bit_noise,omitempty"`
}

// Evaluation asks clients to evaluate the model they receive.
type Evaluation struct {
	Clients bool `yaml:"clients,omitempty"`
}

// Stop ends a run before its last round.
type Stop struct {
	Accuracy float64 `yaml:"accuracy,omitempty"` // federated accuracy reached, in (0,1]; needs evaluation.clients
	Patience int     `yaml:"patience,omitempty"` // rounds without a lower federated loss; needs evaluation.clients
}
