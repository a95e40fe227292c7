package oneshot

import (
	"io"
	"testing"

	"github.com/choir-fl/choir/secagg"
	"github.com/stretchr/testify/require"
)

// BenchmarkMember is what a member does for one letter of set M: judge is the first
// pass, sum the second.
func BenchmarkMember(b *testing.B) {
	w := newScene(b, shape{n: 64, corrupt: 1, words: 20_000, bits: 26, minimum: 16})
	require.NoError(b, w.to("upload"))
	w.exchange()
	start, _ := w.control.Instruction(w.number(0))
	require.Equal(b, 4096, w.members[0].(*member).attempt.ring.N())
	fresh := func() *member {
		w.restarted(0)
		_, err := w.members[0].Step(start)
		require.NoError(b, err)
		return w.members[0].(*member)
	}
	b.Run("judge", func(b *testing.B) {
		p := fresh()
		for k := 0; b.Loop(); k++ {
			if k%64 == 0 {
				p = fresh()
			}
			if err := p.take(w.letters[0][k%64]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("sum", func(b *testing.B) {
		p := fresh()
		p.sums = newSums(p.attempt, [][]int{{}})
		for i := range p.sums.bucketOf {
			p.sums.bucketOf[i] = 0
		}
		for k := 0; b.Loop(); k++ {
			if k%64 == 0 {
				p.sums.reset()
			}
			if err := p.add(w.letters[0][k%64]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("jury", func(b *testing.B) {
		c := w.control.(*control)
		for b.Loop() {
			c.jury.decided = 0
			_ = c.jury.decide(c.order)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/64, "ns/client")
	})
}

// BenchmarkSeal is what a client does: a vector of 2^20 words and four letters.
func BenchmarkSeal(b *testing.B) {
	const words = 1 << 20
	w := newScene(b, shape{n: 64, corrupt: 1, words: words, bits: 26, minimum: 16})
	require.NoError(b, w.to("upload"))
	start, _ := w.control.Instruction(0)
	for b.Loop() {
		p, err := Scheme{}.NewParty(w.session, 0, w.clientKeys[0], coins("bench"))
		require.NoError(b, err)
		_, err = p.Step(start)
		require.NoError(b, err)
		_, err = p.Seal(make([]uint32, words), io.Discard)
		require.NoError(b, err)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/words, "ns/coord")
}

// BenchmarkOpening is the coordinator's interpolation of one bucket's secret.
func BenchmarkOpening(b *testing.B) {
	w := newScene(b, shape{n: 16, m: 7, corrupt: 1, words: 20_000, bits: 26})
	require.NoError(b, w.to("open"))
	for b.Loop() {
		o, err := w.control.Opening()
		require.NoError(b, err)
		o.Erase()
	}
}

// BenchmarkBegin is what every party does to check a session.
func BenchmarkBegin(b *testing.B) {
	w := newScene(b, shape{n: 1000, m: 7, corrupt: 10_000, minimum: 100, buckets: secagg.Buckets{Size: 16, Minimum: 12}})
	for b.Loop() {
		_, err := begin(w.session)
		require.NoError(b, err)
	}
}
