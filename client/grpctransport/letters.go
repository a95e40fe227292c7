package grpctransport

import (
	"context"
	"errors"
	"io"
	"math"

	choirv1 "github.com/choir-fl/choir/proto/choir/v1"
	"github.com/choir-fl/choir/secagg"
)

// Letters implements decryptor.Transport. It is tried again until the first bytes were
// written to w. Afterwards it is for the caller, who knows which letters arrived whole,
// to ask for those that follow: a stream that broke off then is an error, of class
// Unavailable if the connection was lost.
func (t *Transport) Letters(ctx context.Context, round secagg.RoundID, first int, w io.Writer) error {
	if first < 0 || first > math.MaxInt32 {
		return ErrConfig.At("letter %d", first)
	}
	var broken error
	err := t.do(ctx, "Letters", func(ctx context.Context) (bool, error) {
		stream, err := t.round().Letters(ctx, &choirv1.LettersRequest{Round: wireRound(round), First: uint32(first)})
		if err != nil {
			return false, err
		}
		for written := false; ; written = true {
			m, err := stream.Recv()
			switch {
			case errors.Is(err, io.EOF):
				return true, nil
			case err != nil && written:
				broken = Fault(err)
				return true, nil
			case err != nil:
				return false, err
			}
			if _, err := w.Write(m.GetData()); err != nil {
				return false, ErrLocal.Because(err)
			}
		}
	})
	if err != nil {
		return err
	}
	return broken
}
