package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/choir-fl/choir/cmd/choir/preflight"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/sim"
	"github.com/choir-fl/choir/sim/report"
)

var errReport = fault.New(fault.Usage, "choir/report", "report cannot be written", "name a directory that can be made or written to")

// checkReportDir finds out before a long run whether a report could be written,
// without making anything.
func checkReportDir(dir string) error {
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		switch {
		case err == nil && !info.IsDir():
			return errReport.At("--report %s", dir).Because(errors.New(at + " is not a directory"))
		case err == nil:
			return nil
		case !errors.Is(err, fs.ErrNotExist) || at == filepath.Dir(at):
			return errReport.At("--report %s", dir).Because(err)
		}
	}
}

// writeReport writes report.html and report.json into a directory, which is made
// if it is missing. Each file appears whole or not at all.
func writeReport(dir string, lit plan.Literal, res sim.Result, findings *preflight.Findings) error {
	page := report.Page{Job: lit.Job, Result: res, Sees: findings.Sees(), Settings: settings(lit, findings)}
	var html, doc bytes.Buffer
	if err := page.WriteHTML(&html); err != nil {
		return err
	}
	enc := json.NewEncoder(&doc)
	enc.SetIndent("", "  ")
	if err := enc.Encode(res); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return errReport.At("--report %s", dir).Because(err)
	}
	for name, content := range map[string][]byte{"report.html": html.Bytes(), "report.json": doc.Bytes()} {
		if err := replaceFile(filepath.Join(dir, name), content); err != nil {
			return errReport.At("--report %s", dir).Because(err)
		}
	}
	return nil
}

// settings are those of the plan that the result does not repeat.
func settings(lit plan.Literal, f *preflight.Findings) []report.Setting {
	t, e := lit.Training, f.Encoding
	out := []report.Setting{
		{Name: "local training", Value: fmt.Sprintf("%d epochs, batches of %d, learning rate %g, momentum %g, prox %g", t.Epochs, t.BatchSize, t.LearningRate, t.Momentum, t.Prox)},
		{Name: "server optimiser", Value: f.Optimizer},
		{Name: "clip norm", Value: fmt.Sprint(e.ClipNorm)},
		{Name: "encoding", Value: fmt.Sprintf("%d bits, step %.3g, words of %d bits", e.Bits, e.Step, e.WordBits)},
		{Name: "attempts at a round", Value: fmt.Sprint(f.Rounds.Attempts)},
	}
	if g := f.Graph; g != nil {
		out = append(out, report.Setting{Name: "share holders, threshold, quorum", Value: fmt.Sprintf("%d, %d, %d", g.Degree, g.Threshold, g.Quorum)},
			report.Setting{Name: "corrupt clients, drop-outs planned for", Value: fmt.Sprintf("%d and %d of %d", g.MaxCorrupt, g.MaxDropouts, g.Clients)})
	}
	if o := f.Oneshot; o != nil {
		out = append(out, report.Setting{Name: "committee members, corrupt ones, quorum", Value: fmt.Sprintf("%d, %d, %d", o.Members, o.Corrupt, o.Quorum)},
			report.Setting{Name: "corrupt clients, evictions planned for", Value: fmt.Sprintf("%d and %d of %d", o.CorruptClients, o.Evictions, f.Rounds.Invited)},
			report.Setting{Name: "ring set, noise bits, words in a coefficient", Value: fmt.Sprintf("%s, %d, %d", o.Set, o.Kappa, o.Slots)})
	}
	if b := f.Buckets; b != nil {
		name := "buckets"
		if b.Fallback {
			name += " after a spoiled sum"
		}
		out = append(out, report.Setting{Name: name, Value: fmt.Sprintf("%d of %d clients, opened with %d or more", b.Count, b.Largest, b.Minimum)})
	}
	return append(out, report.Setting{Name: "plan digest", Value: f.Digest})
}

// replaceFile writes a file beside its place and moves it there.
func replaceFile(path string, content []byte) error {
	temp := path + ".tmp"
	err := os.WriteFile(temp, content, 0o600)
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		return errors.Join(err, removeIfThere(temp))
	}
	return nil
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
