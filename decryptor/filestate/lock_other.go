//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd)

package filestate

import (
	"errors"
	"fmt"
	"os"
)

// lock refuses: without a lock that ends with its process, two processes could
// answer one attempt in two ways.
func lock(*os.File) error {
	return fmt.Errorf("no file locks on this operating system: %w", errors.ErrUnsupported)
}
