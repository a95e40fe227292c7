//go:build !unix

package process

import (
	"os"
	"os/exec"
)

// group does nothing: there are no process groups.
func group(*exec.Cmd) {}

// killGroup kills the program alone.
func killGroup(p *os.Process) error { return p.Kill() }
