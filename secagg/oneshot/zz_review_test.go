package oneshot

import (
	"math"
	"math/big"
	"testing"
)

// any bucket with an honest client and more than c corrupt ones: count * 8 * sum_{k=c+1}^{size-1} Hyp(n,f,size)(k)
func zzUnion(n, f, count, c int) float64 {
	size := n / count // the smaller size only: a lower figure
	size = bucketSize(n, count)
	all := new(big.Int).Binomial(int64(n), int64(size))
	tail := new(big.Int)
	for k := c + 1; k <= min(f, size-1); k++ {
		if size-k > n-f {
			continue
		}
		t := new(big.Int).Binomial(int64(f), int64(k))
		t.Mul(t, new(big.Int).Binomial(int64(n-f), int64(size-k)))
		tail.Add(tail, t)
	}
	r := new(big.Rat).SetFrac(tail, all)
	r.Mul(r, big.NewRat(int64(8*count), 1))
	x, _ := new(big.Float).SetRat(r).Float64()
	if x == 0 {
		return -999
	}
	return math.Log2(x)
}

func TestZZUnion(t *testing.T) {
	worst, seen, bad := -1000.0, 0, 0
	for n := 100; n <= 3000; n += 100 {
		for _, share := range []int{5000, 10000, 20000, 50000, 100000, 200000} {
			for _, size := range []int{9, 16, 20, 25, 32, 50} {
				f, count := corruptAmong(n, share), n/size
				if n%count != 0 {
					continue
				}
				c := corruptInBucket(n, f, count)
				if c+2 > size {
					continue
				}
				seen++
				u := zzUnion(n, f, count, c)
				if u > -40 {
					bad++
					if u > worst {
						worst = u
						t.Logf("n %d f %d count %d size %d c* %d: 2^%.2f", n, f, count, bucketSize(n, count), c, u)
					}
				}
			}
		}
	}
	t.Logf("%d of %d above 2^-40, worst 2^%.2f", bad, seen, worst)
}
