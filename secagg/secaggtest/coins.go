package secaggtest

import (
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/choir-fl/choir/secagg"
)

// Coins returns reproducible coins. They are for tests alone.
func Coins(seed uint64, label string) io.Reader {
	return rand.NewChaCha8(secagg.Hash("secaggtest coins", fmt.Appendf(nil, "%d", seed), []byte(label)))
}

// recorder passes coins on and keeps what it passed.
type recorder struct {
	from io.Reader
	seen []byte
}

// Read implements io.Reader.
func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	r.seen = append(r.seen, p[:n]...)
	return n, err
}
