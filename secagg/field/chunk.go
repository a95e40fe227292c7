package field

import "fmt"

// ChunkWords is the number of words in every chunk of a vector but the last,
// which has the rest. It is a multiple of 8, so that chunk i of a vector packed
// at w bits begins at byte i*ChunkWords*w/8 exactly, shares no byte with
// another chunk, and can be sent, checked and added alone. A chunk is at most
// 256 KiB on the wire (w = 32).
const ChunkWords = 1 << 16

// Chunk is where one chunk of a packed vector lies. The end of each range is
// exclusive.
type Chunk struct {
	FirstWord, EndWord int // in the ring vector
	FirstByte, EndByte int // in its packed form
}

// ChunkCount is the number of chunks of a vector of n words: n/ChunkWords
// rounded up. It is 0 if n is not positive.
func ChunkCount(n int) int {
	if n <= 0 {
		return 0
	}
	return (n-1)/ChunkWords + 1
}

// ChunkAt gives chunk i of a vector of n words packed at w bits. Packing or
// unpacking the chunk alone gives the same bytes or words as doing so with the
// whole vector. An i outside [0, ChunkCount(n)), and an n or w that
// [PackedLen] refuses, are an [ErrArgument].
func ChunkAt(n, w, i int) (Chunk, error) {
	if PackedLen(n, w) < 0 || i < 0 || i >= ChunkCount(n) {
		return Chunk{}, fmt.Errorf("%w: chunk %d of %d words of %d bits, want a chunk below %d",
			ErrArgument, i, n, w, ChunkCount(n))
	}
	first := i * ChunkWords
	end := min(first+ChunkWords, n)
	return Chunk{
		FirstWord: first, EndWord: end,
		FirstByte: PackedLen(first, w), EndByte: PackedLen(end, w),
	}, nil
}
