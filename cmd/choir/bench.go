package main

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/choir-fl/choir/cmd/choir/bench"
)

func newBenchCommand() *cobra.Command {
	var asJSON bool
	var filter string
	var d int
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure what schemes and encoding cost per coordinate on this machine",
		Long: `Measure what schemes and encoding cost per coordinate on this machine, on one
thread, beside its limits: the cipher, an addition in memory, a digest. A time is
processor time, the least of several repetitions. Takes about a minute. Whole
attempts of scheme pairwise are computed from what single operations take.

Robust rules are measured on two threads by the time that passes, on 100 vectors of
100,000 values. Those that --filter selects are measured on 100 of 1,000,000 too, and
krum on 1000 of 100,000; no vector is longer than --d.

Measurements:
  ` + strings.Join(bench.Names(), "\n  "),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o := bench.Options{D: d}
			if filter != "" {
				re, err := regexp.Compile(filter)
				if err != nil {
					return errUsage.At("--filter %s", filter).Because(err)
				}
				o.Filter = re
			}
			if status := cmd.ErrOrStderr(); isTerminal(status) {
				o.Progress = func(what string) { fmt.Fprintf(status, "\r\x1b[Kmeasuring %s", what) }
				defer fmt.Fprint(status, "\r\x1b[K")
			}
			doc, err := until(cmd.Context(), func() (bench.Document, error) { return bench.Run(o) })
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(doc)
			}
			return benchTable(cmd.OutOrStdout(), doc)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document ("+bench.Schema+") on standard output")
	cmd.Flags().StringVar(&filter, "filter", "", "measure only what matches this regular expression")
	cmd.Flags().IntVar(&d, "d", bench.DefaultD, fmt.Sprintf("words in a vector, %d to %d", bench.MinD, bench.MaxD))
	return cmd
}

// benchTable prints results with their ratio to the limits that apply to them.
func benchTable(w io.Writer, doc bench.Document) error {
	value := map[string]float64{}
	for _, r := range doc.Results {
		value[r.Name] = r.Value
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "name\tvalue\tunit\tn\td\tw\tratio to limit")
	for _, r := range doc.Results {
		digits := 4
		if r.Value >= 1000 {
			digits = 0
		}
		note := ratio(r, value)
		if r.Computed {
			note = "computed"
		}
		fmt.Fprintf(t, "%s\t%.*f\t%s\t%s\t%s\t%s\t%s\n", r.Name, digits, r.Value, r.Unit, count(r.N), count(r.D), count(r.W), note)
	}
	return t.Flush()
}

// ratio compares a result with the sum of its limits, if all of them were measured.
func ratio(r bench.Result, value map[string]float64) string {
	var limit float64
	for _, name := range bench.Limits(r.Name) {
		if value[name] == 0 {
			return ""
		}
		limit += value[name]
	}
	if limit == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f x %s", r.Value/limit, strings.ReplaceAll(strings.Join(bench.Limits(r.Name), " + "), "limit/", ""))
}

func count(v *int) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprint(*v)
}
