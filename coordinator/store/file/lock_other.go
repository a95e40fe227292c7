//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd)

package file

import (
	"errors"
	"fmt"
	"os"
)

// lock refuses: without a lock that dies with its process, two coordinators could share a directory.
func lock(*os.File) error {
	return fmt.Errorf("no file locks on this operating system: %w", errors.ErrUnsupported)
}
