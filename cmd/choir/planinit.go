package main

import (
	"fmt"
	"io"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/choir-fl/choir/secagg/pairwise"
	"github.com/choir-fl/choir/secagg/pairwise/graph"
)

func newPlanInitCommand() *cobra.Command {
	var scheme string
	var cohort int
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write a commented plan to begin with to standard output",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return writeStartingPlan(cmd.OutOrStdout(), scheme, cohort)
		},
	}
	cmd.Flags().StringVar(&scheme, "scheme", schemes[0].Name(), "secure-aggregation scheme: "+strings.Join(schemeNames(), " or "))
	cmd.Flags().IntVar(&cohort, "cohort", startingCohort, fmt.Sprintf("clients in a round, at least %d", graph.MinClients))
	completeWith(cmd, "scheme", schemeNames()...)
	return cmd
}

func schemeNames() (out []string) {
	for _, s := range schemes {
		out = append(out, s.Name())
	}
	return out
}

// startingCohort is the cohort of a starting plan that is not told otherwise.
const startingCohort = 40

func writeStartingPlan(w io.Writer, scheme string, cohort int) error {
	if cohort < graph.MinClients || cohort > pairwise.MaxMembers {
		return errUsage.At("--cohort %d is not in %d..%d", cohort, graph.MinClients, pairwise.MaxMembers)
	}
	for _, s := range schemes {
		if s.Name() == scheme {
			t, err := template.New("plan").Parse(startingPlan)
			if err != nil {
				return err
			}
			// With three tenths planned to vanish, a tenth of the cohort is to spare.
			return t.Execute(w, map[string]any{"Scheme": scheme, "Size": cohort, "Minimum": cohort * 6 / 10})
		}
	}
	return errUsage.At("--scheme %q is not known; known: %s", scheme, strings.Join(schemeNames(), ", "))
}

// startingPlan has every key of a plan but those of other optimisers than its own.
const startingPlan = `# A plan: what is trained, by whom, and under which protection.
# Check it with: choir plan check FILE
schema: choir.plan/1

# Name of the job: a-z, 0-9, '.', '_' and '-'.
job: my-job

model:
  # Built-in model: softmax, mlp, mlp:WIDTHS or cnn. For a model of your own leave
  # it out and declare tensors, or name a file to start from.
  architecture: mlp
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
  # Share of the clients that may vanish in mid-round, in [0,1).
  dropout: 0.3
  # true admits fewer than 16 clients, where every party is named and known.
  cross_silo: false
{{- else}}
  # plain: no protection. The coordinator sees every single update. For tests,
  # simulations, and coordinators that are trusted with that.
  name: plain
  # Share of the clients that may vanish in mid-round, in [0,1): for estimates only.
  dropout: 0.3
{{- end}}

cohort:
  size: {{.Size}} # clients wanted in a round
  minimum: {{.Minimum}} # fewest clients in a sum that is opened
  # Above 1, ceil(size * over_selection) clients are invited, and uploads close once
  # size of them are complete; those left out count as drop-outs.
  over_selection: 1
  # A buffered round: uploads close once so many are complete. 0: at the deadline, or
  # when all are.
  close_at: 0
  # uniform: drawn at random from all that are enrolled; check-in: first come.
  selection: uniform

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
  clip_norm: 8
  # Bits of a coordinate, 3 to 31. Range, scale and word_bits follow from these
  # unless they are given; choir plan check prints them.
  bits: 18

training:
  epochs: 1 # passes over a client's data
  batch_size: 32 # examples
  learning_rate: 0.05
  momentum: 0 # in [0,1)
  prox: 0 # mu of the FedProx term, 0 for none
  # Number of examples that counts as weight 1; more count as 1 too. 0: every
  # client weighs 1.
  weight_cap: 600

aggregation:
  rule: mean
  # weights: divide by the sum of weights, which is summed as securely as the
  # updates; fixed: divide by cohort.size.
  denominator: weights
  # sum: all survivors in one sum. bucket_means: a sum for each bucket, drawn at
  # random, of about size clients; one with fewer than minimum left is not opened.
  view: sum
{{- if eq .Scheme "oneshot"}}
  # One client that encrypts what is no vector spoils a sum. With this, the next
  # attempts at a round open buckets, of which it spoils its own alone.
  # fallback: bucket_means
{{- end}}
  # buckets: {size: 16, minimum: 12}

optimizer:
  # Of the server: fedavg, fedavgm, fedadam, fedyogi or fedadagrad.
  name: fedavg
  learning_rate: 1

privacy:
  # none: no noise. The coordinator sees exact sums, and the plan must say that it
  # is trusted with them. No epsilon is stated.
  mode: none
  trust_coordinator: true

evaluation:
  # Clients evaluate the model that they receive; the results are summed with the updates.
  clients: true

# End before the last round. 0: never.
stop:
  accuracy: 0 # federated accuracy reached, in (0,1]
  patience: 0 # rounds without a lower federated loss
`
