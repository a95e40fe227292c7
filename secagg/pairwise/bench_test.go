package pairwise

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
	"github.com/choir-fl/choir/secagg/secaggtest"
	"github.com/stretchr/testify/require"
)

// BenchmarkAttempt reports what a whole attempt on the complete graph, with a
// short vector, costs one client and the coordinator.
func BenchmarkAttempt(b *testing.B) {
	for _, n := range []int{40, 100} {
		for _, vanished := range []int{0, n / 10} {
			b.Run(fmt.Sprintf("n=%d,vanished=%d", n, vanished), func(b *testing.B) {
				c := secaggtest.NewCohort(b, n, 1)
				s := secaggtest.NewSession(b, Scheme{}, testPolicy, c, secaggtest.Shape{Minimum: n / 2, Words: 1000, WordBits: 32})
				var whole, clients time.Duration
				for b.Loop() {
					a := secaggtest.NewAttempt(b, Scheme{}, s, c, 1)
					for i := range a.Parties {
						a.Parties[i] = &timedParty{a.Parties[i], &clients}
					}
					a.Leaves = func(p secagg.Phase, member int) bool { return p.Kind == secagg.PhaseUpload && member < vanished }
					start := time.Now()
					_, err := a.Run()
					whole += time.Since(start)
					require.NoError(b, err)
				}
				perAttempt := float64(b.N) * 1e6
				b.ReportMetric(float64(clients.Nanoseconds())/perAttempt/float64(n), "ms/client")
				b.ReportMetric(float64((whole-clients).Nanoseconds())/perAttempt, "ms/coordinator")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

type timedParty struct {
	secagg.Party
	spent *time.Duration
}

func (p *timedParty) Step(instruction []byte) (secagg.Reply, error) {
	start := time.Now()
	defer func() { *p.spent += time.Since(start) }()
	return p.Party.Step(instruction)
}

func (p *timedParty) Seal(vector []uint32, out io.Writer) (secagg.Reply, error) {
	start := time.Now()
	defer func() { *p.spent += time.Since(start) }()
	return p.Party.Seal(vector, out)
}

// BenchmarkMask reports what Seal costs for each coordinate and mask at d = 2^20,
// w = 32, beside what the same expansions and additions alone would cost.
func BenchmarkMask(b *testing.B) {
	const words, neighbours = 1 << 20, 32
	p := &party{attempt: &attempt{
		Session: secagg.Session{Words: words, WordBits: 32},
		pieces:  piecesOf(words+knownAnswers, 32),
	}, masks: testMasks(neighbours)}
	vector := make([]uint32, words)
	b.Run("seal", func(b *testing.B) {
		for b.Loop() {
			require.NoError(b, p.writeMasked(vector, io.Discard))
		}
		reportWords(b, words*neighbours)
	})
	benchmarkLimits(b)
}

// BenchmarkUnmask reports what Accumulator.Unmask costs for each coordinate and
// mask, beside the same limits.
func BenchmarkUnmask(b *testing.B) {
	const words, masks = 1 << 20, 32
	a := &accumulator{attempt: &attempt{
		Session: secagg.Session{Words: words, WordBits: 32},
		pieces:  piecesOf(words, 32),
	}, buckets: []bucket{{words: make([]uint32, words)}}}
	o := &opening{masks: testMasks(masks)}
	b.Run("unmask", func(b *testing.B) {
		for b.Loop() {
			for i := range a.Pieces().Count {
				o.remove(a.buckets[0].piece(i), i*field.ChunkWords)
			}
		}
		reportWords(b, words*masks)
	})
	benchmarkLimits(b)
}

func testMasks(n int) []expansion {
	masks := make([]expansion, n)
	for i := range masks {
		masks[i].key[0], masks[i].subtract = byte(i), i%2 == 1
	}
	return masks
}

func reportWords(b *testing.B, words int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(words), "ns/coordinate")
	b.ReportMetric(0, "ns/op")
}

// benchmarkLimits measures AES-256-CTR over one piece, and addition of vectors
// larger than the caches, each per 32-bit word.
func benchmarkLimits(b *testing.B) {
	b.Run("limit aesctr", func(b *testing.B) {
		x := expansion{}
		out, zeros := make([]byte, wordSize*field.ChunkWords), make([]byte, wordSize*field.ChunkWords)
		s := x.open(0)
		for b.Loop() {
			s.XORKeyStream(out, zeros)
		}
		reportWords(b, field.ChunkWords)
	})
	b.Run("limit add", func(b *testing.B) {
		const words = 1 << 22
		sum, one := make([]uint32, words), make([]uint32, words)
		for b.Loop() {
			field.Add(sum, one)
		}
		reportWords(b, words)
	})
}
