//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package filestate

import (
	"errors"
	"os"
	"syscall"
)

// lock takes an exclusive lock on an open file, at once or not at all.
func lock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrInUse.At("%s", f.Name())
	}
	return err
}
