//go:build unix

package process

import (
	"os"
	"os/exec"
	"syscall"
)

// group makes the program the head of a process group of its own, so that what it
// starts can be ended with it.
func group(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// killGroup kills the program's group. The program must not have been waited for:
// its number could belong to another.
func killGroup(p *os.Process) error { return syscall.Kill(-p.Pid, syscall.SIGKILL) }
