package oneshot

import (
	"bytes"
	"sync"
	"testing"

	"github.com/choir-fl/choir/secagg"
	"github.com/stretchr/testify/require"
)

var inBuckets = shape{n: 20, corrupt: 1, minimum: 10, buckets: secagg.Buckets{Size: 5, Minimum: 4}, words: 20_000, bits: 26}

func (w *scene) addTo(sum secagg.Accumulator, client int, pieces ...int) {
	ps := sum.Pieces()
	for _, k := range pieces {
		require.NoError(w.t, sum.Add(w.control.Bucket(client), k, w.uploaded[client][k*ps.Size:][:ps.Len(k)]))
	}
}

func (w *scene) freshSum() *accumulator {
	sum, err := Scheme{}.NewAccumulator(w.session)
	require.NoError(w.t, err)
	return sum.(*accumulator)
}

// TestAPieceThatLacksAnUploadIsNotOpened: an upload that is missing in a sum, or in
// it twice, would be taken for noise.
func TestAPieceThatLacksAnUploadIsNotOpened(t *testing.T) {
	w := newScene(t, inBuckets)
	require.NoError(t, w.to("open"))
	o, err := w.control.Opening()
	require.NoError(t, err)
	last := w.sum.Pieces().Count - 1
	require.Positive(t, last)
	sum := w.freshSum()
	for i := range 20 {
		for k := range last {
			w.addTo(sum, i, k)
		}
		if i != 7 {
			w.addTo(sum, i, last)
		}
	}
	require.NoError(t, sum.Unmask(o, 0))
	require.ErrorIs(t, sum.Unmask(o, 0), ErrPieces, "once for each piece")
	require.ErrorIs(t, sum.Unmask(o, last), ErrPieces)
	_, err = sum.Sums(o)
	require.ErrorIs(t, err, ErrPieces)
	require.ErrorIs(t, sum.Unmask(o, last+1), ErrPieces)
	require.ErrorIs(t, sum.Unmask(o, -1), ErrPieces)
	w.addTo(sum, 7, last)
	w.addTo(sum, 7, last)
	require.ErrorIs(t, sum.Unmask(o, last), ErrPieces)
	o.Erase()
	require.ErrorIs(t, w.sum.Unmask(o, 0), ErrOpening)
}

func TestPiecesThatAreNoneAreRefused(t *testing.T) {
	w := newScene(t, inBuckets)
	ps := w.sum.Pieces()
	good := make([]byte, ps.Size)
	require.NoError(t, w.sum.Check(0, good))
	require.ErrorIs(t, w.sum.Check(ps.Count, good), secagg.ErrPiece)
	require.ErrorIs(t, w.sum.Check(0, good[1:]), secagg.ErrPiece)
	require.ErrorIs(t, w.sum.Check(0, bytes.Repeat([]byte{255}, ps.Size)), secagg.ErrPiece)
	require.ErrorIs(t, w.sum.Add(0, 0, bytes.Repeat([]byte{255}, ps.Size)), secagg.ErrPiece)
	require.ErrorIs(t, w.sum.Add(4, 0, good), secagg.ErrPiece)
	require.ErrorIs(t, w.sum.Add(-1, 0, good), secagg.ErrPiece)
	require.ErrorIs(t, w.sum.Add(0, ps.Count, good), secagg.ErrPiece)
	require.ErrorIs(t, w.sum.Add(0, -1, good), secagg.ErrPiece)
}

func TestSnapshotsHoldAllBuckets(t *testing.T) {
	w := newScene(t, inBuckets)
	require.NoError(t, w.to("open"))
	var parts [2]bytes.Buffer
	sums := [2]*accumulator{w.freshSum(), w.freshSum()}
	for i := range 20 {
		for k := range w.sum.Pieces().Count {
			w.addTo(sums[i%2], i, k)
		}
	}
	for i := range sums {
		require.NoError(t, sums[i].Snapshot(&parts[i]))
	}
	var whole bytes.Buffer
	require.NoError(t, w.sum.Snapshot(&whole))
	merged := w.freshSum()
	for i := range parts {
		require.NoError(t, merged.Merge(bytes.NewReader(parts[i].Bytes())))
	}
	var again bytes.Buffer
	require.NoError(t, merged.Snapshot(&again))
	require.Equal(t, whole.Bytes(), again.Bytes())
	w.sum = merged
	w.opens()
	require.ErrorIs(t, w.sum.Snapshot(&again), ErrPieces)
	require.ErrorIs(t, w.sum.Merge(bytes.NewReader(whole.Bytes())), ErrPieces)
	require.ErrorIs(t, w.sum.Add(0, 0, make([]byte, w.sum.Pieces().Size)), ErrPieces)

	for name, b := range map[string][]byte{
		"none": nil, "of another version": append([]byte{9}, whole.Bytes()[1:]...), "cut": whole.Bytes()[:whole.Len()-1], "cut in the counts": whole.Bytes()[:3],
		"too long": append(bytes.Clone(whole.Bytes()), 0), "of too many uploads": append([]byte{1, 255}, whole.Bytes()[2:]...),
	} {
		sum := w.freshSum()
		require.ErrorIs(t, sum.Merge(bytes.NewReader(b)), ErrSnapshot, name)
		if len(b) > 1 && b[0] == snapshotVersion {
			o, err := w.control.Opening()
			require.NoError(t, err)
			require.ErrorIs(t, sum.Unmask(o, 0), ErrPieces, name)
			require.ErrorIs(t, sum.Snapshot(new(bytes.Buffer)), ErrPieces, name)
		}
	}
}

func TestPiecesAreUnmaskedInParallel(t *testing.T) {
	s := inBuckets
	s.words = 60_000
	w := newScene(t, s)
	require.NoError(t, w.to("open"))
	o, err := w.control.Opening()
	require.NoError(t, err)
	var wait sync.WaitGroup
	failed := make([]error, w.sum.Pieces().Count)
	require.Greater(t, len(failed), 3)
	for k := range failed {
		wait.Go(func() { failed[k] = w.sum.Unmask(o, k) })
	}
	wait.Wait()
	for _, err := range failed {
		require.NoError(t, err)
	}
	sums, err := w.sum.Sums(o)
	require.NoError(t, err)
	require.Len(t, sums, 4)
	w.right(sums)
}
