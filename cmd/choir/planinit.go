package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/pairwise"
	"github.com/choir-fl/choir/secagg/pairwise/graph"
	"github.com/choir-fl/choir/secagg/plain"
)

func newPlanInitCommand() *cobra.Command {
	var k startingKind
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write a commented plan to begin with to standard output",
		Long: `Write a commented plan to begin with to standard output. It states everything about
privacy, as a plan must: read these keys and change them. Without --dp noise is added
by the clients, calibrated for the budget that the plan states.

Cohorts of at least ` + fmt.Sprint(leastByCoins) + ` are drawn by secret coins from --population clients, which counts for
those who see released models only. Others are a sample of fixed size, for which
nothing is claimed: smaller ones, as whether there are enough for a sum must not hang
on one coin; those under scheme pairwise, whose sparse graphs fail with a chance that
delta would have to hold; and those of mode local, whose noise suffices for everybody.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("cohort") {
				k.cohort = startingCohort
				if k.mode != string(secagg.PrivacyNone) {
					k.cohort = startingPrivateCohort
				}
			}
			if !cmd.Flags().Changed("population") {
				k.population = 25 * k.cohort
			}
			return writeStartingPlan(cmd.OutOrStdout(), k)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&k.scheme, "scheme", schemes[0].Name(), "secure-aggregation scheme: "+strings.Join(schemeNames(), " or "))
	fl.StringVar(&k.mode, "dp", string(secagg.PrivacyDistributed), "privacy mode: "+strings.Join(privacyModes, ", "))
	fl.IntVar(&k.cohort, "cohort", 0, fmt.Sprintf("clients in a round, at least %d (default %d, or %d under --dp none)", graph.MinClients, startingPrivateCohort, startingCohort))
	fl.IntVar(&k.population, "population", 0, "registered clients that cohorts by coins are drawn from (default: 25 times the cohort)")
	completeWith(cmd, "scheme", schemeNames()...)
	completeWith(cmd, "dp", privacyModes...)
	return cmd
}

// privacyModes are those that a plan can have; the first is that of new plans.
var privacyModes = []string{string(secagg.PrivacyDistributed), string(secagg.PrivacyLocal), string(secagg.PrivacyCentral), string(secagg.PrivacyNone)}

func schemeNames() (out []string) {
	for _, s := range schemes {
		out = append(out, s.Name())
	}
	return out
}

const (
	// startingCohort and startingPrivateCohort are the cohorts of starting plans that are
	// not told otherwise, without and with noise.
	startingCohort        = 40
	startingPrivateCohort = 200
	// leastByCoins is the smallest cohort that a starting plan draws by coins: in a smaller
	// one it is too likely that one client's coin decides whether there is a sum.
	leastByCoins = 150
)

// startingKind is what a starting plan is told.
type startingKind struct {
	scheme, mode       string
	cohort, population int
}

// byCoins reports whether the starting plan draws its cohort by coins, and if not under
// noise, why.
func (k startingKind) byCoins() (coins bool, why string) {
	switch {
	case k.mode == string(secagg.PrivacyNone):
		return false, ""
	case k.mode == string(secagg.PrivacyLocal):
		return false, "Mode local promises the same to everybody."
	case k.cohort < leastByCoins:
		return false, fmt.Sprintf("poisson would count for privacy, in cohorts of %d and more.", leastByCoins)
	case k.scheme == pairwise.Name: // and no such cohort has a complete graph
		return false, "poisson would count for privacy, under scheme oneshot."
	}
	return true, ""
}

func writeStartingPlan(w io.Writer, k startingKind) error {
	if k.cohort < graph.MinClients || k.cohort > pairwise.MaxMembers {
		return errUsage.At("--cohort %d is not in %d..%d", k.cohort, graph.MinClients, pairwise.MaxMembers)
	}
	if !slices.Contains(privacyModes, k.mode) {
		return errUsage.At("--dp %q is not known; known: %s", k.mode, strings.Join(privacyModes, ", "))
	}
	if !slices.Contains(schemeNames(), k.scheme) {
		return errUsage.At("--scheme %q is not known; known: %s", k.scheme, strings.Join(schemeNames(), ", "))
	}
	private := k.mode != string(secagg.PrivacyNone)
	coins, why := k.byCoins()
	if coins && k.population < 2*k.cohort {
		return errUsage.At("--population %d is not at least twice --cohort %d", k.population, k.cohort)
	}
	// With three tenths planned to vanish, a tenth of the cohort is to spare. Where coins
	// draw the cohort, it varies, and hardly any draw may come near the minimum.
	minimum, dropout := k.cohort*6/10, 0.3
	if coins {
		minimum, dropout = k.cohort*3/10, 0.2
	}
	t, err := template.New("plan").Parse(startingPlan)
	if err != nil {
		return err
	}
	trust := k.mode == string(secagg.PrivacyCentral) || k.mode == string(secagg.PrivacyDistributed) && k.scheme == plain.Name
	return t.Execute(w, map[string]any{"Scheme": k.scheme, "Size": k.cohort, "Minimum": minimum, "Dropout": dropout, "Mode": k.mode, "Private": private, "Coins": coins,
		"Population": k.population, "Why": why, "Trust": trust, "Enrolled": k.cohort * startingRounds / startingParticipations})
}

// What starting plans say of their length.
const (
	startingRounds         = 50
	startingParticipations = 10
)

// startingPlan has every key of a plan but those of other optimisers than its own.
const startingPlan = `{{define "dropout"}}  # Share of the clients that may vanish in mid-round, in [0,1).
{{- if .Coins}} Epsilon of
  # released models rests on it: a round begins only if at least (1 - dropout) of population
  # is enrolled, and of those no more than this share may vanish.
{{- end}}
  dropout: {{.Dropout}}{{end -}}
# A plan: what is trained, by whom, and under which protection.
# Check it with: choir plan check FILE
schema: choir.plan/1

# Name of the job: a-z, 0-9, '.', '_' and '-'.
job: my-job

model:
  # Built-in model: softmax, mlp, mlp:WIDTHS or cnn. For a model of your own leave
  # it out and declare tensors, or name a file to start from.
{{- if .Private}}
  # Noise grows with the root of the number of parameters: begin with few.
  architecture: softmax
{{- else}}
  architecture: mlp
{{- end}}
  # initial: model.safetensors # relative to this file
  # tensors:
  #   - name: dense1.weight
  #     shape: [784, 200]

scheme:
{{- if eq .Scheme "oneshot"}}
  # oneshot: clients encrypt their updates, speak once and may vanish at any time; a
  # committee of 4 to 16 organisations helps to open the sums. pairwise needs no
  # committee, and clients that stay until the end of a round.
  name: oneshot
  # The committee, relative to this file. Its members make it with choir decryptor
  # init; clients pin it in their consent.
  committee_file: committee.yaml
{{- else if eq .Scheme "pairwise"}}
  # pairwise: clients mask their updates in pairs; the coordinator sees one sum.
  name: pairwise
{{- end}}
{{- if ne .Scheme "plain"}}
  # Largest share of the clients that may collude with the coordinator, in [0,1).
  # With more than that, nothing is promised.
  corrupt: 0.05
{{template "dropout" .}}
  # true admits fewer than 16 clients, where every party is named and known.
  cross_silo: false
{{- else}}
  # plain: no protection. The coordinator sees every single update. For tests,
  # simulations, and coordinators that are trusted with that.
  name: plain
{{template "dropout" .}}
{{- end}}

cohort:
  size: {{.Size}} # clients wanted in a round
  minimum: {{.Minimum}} # fewest clients in a sum that is opened
{{- if .Coins}}
  # poisson: each of population registered clients is drawn by a secret coin of the
  # coordinator's, size of them in expectation. It counts against those who see released
  # models and not who took part. uniform: a sample of fixed size; check-in: first come;
  # nothing is claimed for either. At least (1 - scheme.dropout) of population must be enrolled,
  # or the run stops; whether one answers must not hang on the coins of others. Nobody's
  # participations are capped: who has taken part often enough depends on earlier coins.
  selection: poisson
  population: {{.Population}} # the most clients that may be enrolled
{{- else}}
  # Above 1, ceil(size * over_selection) clients are invited, and uploads close once
  # size of them are complete; those left out count as drop-outs.
  over_selection: 1
  # A buffered round: uploads close once so many are complete. 0: at the deadline, or
  # when all are.
  close_at: 0
  # uniform: drawn at random from all that are enrolled; check-in: first come.
{{- if .Private}} Nothing is
  # claimed for either. {{.Why}}
{{- end}}
  selection: uniform
{{- end}}
{{- if and .Private (not .Coins)}}
  # A client takes part in at most so many charged attempts, 0 for no limit. What is
  # learned of it grows with that. {{.Enrolled}} clients must be enrolled for all rounds.
  participations: 10
  separation: 1 # least difference of the numbers of two of a client's rounds
{{- end}}

rounds:
  count: 50
  attempts: 3 # at one round, 1 to 8; each with new keys

# Each from the beginning of its phase: 30s, 5m, 2h.
deadlines:
  admission: 1m # joining
  exchange: 1m # each exchange of messages
  upload: 30m # training and uploading

# What a device must be to take part.
devices:
  charging: false
  unmetered: false
  idle: false

encoding:
  # L2 norm that a client's whole update is clipped to.
{{- if .Private}} Noise is a multiple of it:
  # find the least that most updates keep, on data that nobody must protect.
  clip_norm: 1
  # Steps of the integer grid per unit of the update. 0: so many that rounding costs 0.05 %
  # of sensitivity at most. bits and word_bits follow.
  scale: 0
{{- else}}
  clip_norm: 8
  # Bits of a coordinate, 3 to 31. Range, scale and word_bits follow from these
  # unless they are given; choir plan check prints them.
  bits: 18
{{- end}}

training:
  epochs: 1 # passes over a client's data
  batch_size: 32 # examples
  learning_rate: 0.05
  momentum: 0 # in [0,1)
  prox: 0 # mu of the FedProx term, 0 for none
  # Number of examples that counts as weight 1; more count as 1 too. 0: every
  # client weighs 1.
  weight_cap: {{if .Private}}0{{else}}600{{end}}
  # beta in [0,1): clients send the running mean of their updates, so that attackers find
  # less chance to hide in. 0: the update itself.
  worker_momentum: 0

aggregation:
  # mean resists nobody. Rules that do, trimmed-mean first among them, combine the means of
  # buckets: docs/ROBUSTNESS.md says which, and choir plan check what each is up against.
  # rfa, without noise, needs no buckets: clients weigh their own updates, and may not lie.
  rule: mean
{{- if not .Coins}}
  # f: 0 # Byzantine bucket means that the rule withstands
  # byzantine: 0 # share of clients that may poison, if that is more than scheme.corrupt
  # pre: [nnm] # before the rule: "clip:NORM", arc, nnm, "bucketing:SIZE"
  # parameters: {} # the rule's own
  # compat: byzfl # or flower: their conventions, to compare results
{{- end}}
  # weights: divide by the sum of weights, which is summed as securely as the
  # updates; fixed: divide by cohort.size.
{{- if .Private}} Under noise: fixed.
  denominator: fixed
{{- else}}
  denominator: weights
{{- end}}
  # sum: all survivors in one sum. bucket_means: a sum for each bucket, drawn at
  # random, of about size clients; one with fewer than minimum left is not opened.
  view: sum
{{- if .Coins}}
  # Cohorts by coins have one sum: who is in a bucket with whom tells who was drawn.
{{- else}}
{{- if eq .Scheme "oneshot"}}
  # One client that encrypts what is no vector spoils a sum. With this, the next
  # attempts at a round open buckets, of which it spoils its own alone.
  # fallback: bucket_means
{{- end}}
  # buckets: {size: 16, minimum: 12}
{{- end}}

optimizer:
  # Of the server: fedavg, fedavgm, fedadam, fedyogi or fedadagrad.
  name: fedavg
  learning_rate: 1

# Nothing here has a default that matters: say what you mean, and read what choir plan
# check makes of it. docs/PRIVACY.md explains each key.
privacy:
{{- if .Private}}
  # distributed: each client adds a share of the noise before its update is encrypted, and
  # the honest shares in the smallest sum suffice together. local: each client's noise
  # suffices alone. central: the coordinator adds it to exact sums, with which it must be
  # trusted. none: there is none.
  mode: {{.Mode}}
  # The coordinator may see exact sums, or under scheme plain single vectors: needed where
  # it does.
  trust_coordinator: {{.Trust}}
  # Whose budget is spent. Jobs that name the same population share it.
  population: fleet
  # dgauss: the discrete Gaussian; skellam, with shares that add up exactly; under mode
  # central also tree, bandmf and blt, for cohorts that are not drawn at random.
  mechanism: dgauss
  # What is hidden of a client. zero-out: whether its update was there or was zero;
  # replace-one: which update it was, at twice the sensitivity.
  relation: zero-out
  # At most the number of clients to the power of -1.1.
  delta: 1e-5
  # Budget of those who see released models: the run stops before it passes it. Without a
  # noise_multiplier the noise is calibrated so that all rounds together spend it.
  epsilon: 8
  # Noise in each opened sum over clip_norm.
{{- if .Coins}}{{if ne .Mode "central"}} Released sums are filled up to
  # as many shares as the largest cohort has, so that they hold more.
{{- end}}{{end}}
  # noise_multiplier: 1.2
  # Budget of those who see who took part, too: the coordinator, its committee, clients of
  # the same cohort. Without it that epsilon is stated, and stops nothing.
  # epsilon_coordinator: {{if .Coins}}600{{else}}8{{end}}
  # Let the clip norm follow a quantile of the clients' norms:
  # clipping: {quantile: 0.5, floor: 0.01, ceiling: 10}
{{- else}}
  # none: no noise. The coordinator sees exact sums, and the plan must say that it
  # is trusted with them. No epsilon is stated.
  mode: none
  trust_coordinator: true
{{- end}}

evaluation:
{{- if .Private}}
  # Clients evaluate the model that they receive. Their results have no noise of their own:
  # not under a privacy mode with noise.
  clients: false
{{- else}}
  # Clients evaluate the model that they receive; the results are summed with the updates.
  clients: true
{{- end}}

# Of a coordinator that holds clean data of its own. 0: no such gate.
# screening:
#   recall_drop: 0.1 # refuse an aggregate that costs any class so much recall
#   backdoor_rate: 0.05 # or that takes more of the stamped probes for the target
#   rollback: 3 # refused attempts in a row until the best model is taken up again
#   alerts: {cosine: 0, excluded: 0.2, recall_drop: 0.1, norm_ratio: 3, duplicates: 2, holdout_sigma: 3, cusum: 5}

# End before the last round. 0: never.
stop:
  accuracy: 0 # federated accuracy reached, in (0,1]
  patience: 0 # rounds without a lower federated loss
`
