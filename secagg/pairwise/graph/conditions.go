package graph

import "iter"

// conditions are what a degree and threshold must meet: see the package comment
// for (S), (C), (I) and (R).
type conditions struct {
	clients, corrupt, dropouts int  // n, f, D
	quorum                     int  // q
	secrecy                    wide // bound for (S)
	connectivity               wide // bound for (C), and for the least pool
	isolation                  wide // bound for (I)
	survival                   wide // bound for (R)
}

// search returns the smallest degree from `from` on that some threshold meets
// every condition with, and the smallest such threshold.
func (c conditions) search(from int) (degree, threshold int, found bool) {
	// C(h, s) for the largest pool below the quorum, s honest ones.
	s := c.quorum - 1 - c.corrupt
	sets := choose(c.clients-c.corrupt, s)
	// connected reports (C): no pool below the quorum opens anything. The largest
	// of them mostly decides, so it is looked at before all are summed.
	connected := func(k, t int) bool {
		reached := hypergeometricTail(c.clients-1, c.quorum-2, k, t)
		return !c.connectivity.less(sets.mul(reached.pow(s))) && c.leastPool(k, t, c.quorum) == c.quorum
	}
	for k := max(from, 1); k < c.clients; {
		exposed := hypergeometricQuantile(c.clients-1, c.corrupt, k, c.secrecy.scale(1, float64(c.clients-c.corrupt)))
		lowest := (k + exposed + 1) / 2 // (S): 2t - k >= exposed
		lost := hypergeometricQuantile(c.clients-1, c.dropouts, k, c.survival.scale(1, float64(c.clients)))
		highest := k + 1 - lost // (R): k - t + 1 >= lost
		// One more draw raises exposed by 0 or 1 and highest by 0 or 1, so
		// 2*highest - k - exposed grows by at most 1 a step: a gap of g needs at
		// least g steps, and none of the degrees skipped can be good.
		if gap := k + exposed - 2*highest; gap > 0 {
			k += gap
			continue
		}
		if connected(k, highest) { // (C) is easiest at the highest threshold
			for t := max(lowest, 1); t <= highest; t++ {
				if connected(k, t) {
					return k, t, true
				}
			}
		}
		k++
	}
	return 0, 0, false
}

// leastPool returns the largest a <= limit such that, up to probability
// c.connectivity, no pool smaller than a opens anything.
func (c conditions) leastPool(degree, threshold, limit int) int {
	var sum wide
	for pool, probability := range openPools(c.clients, c.corrupt, degree, threshold) {
		sum = sum.add(probability)
		if pool >= limit || c.connectivity.less(sum) {
			return min(pool, limit)
		}
	}
	return limit
}

// openPools yields, for pool sizes a = t+1 .. n in turn, a bound on the
// probability that some set of honest clients is closed whose union with the
// corrupt ones has a members, whatever the number of corrupt clients up to
// `corrupt`. Smaller pools are impossible. A bound of 1 says that there is none
// below 1/(n+1).
func openPools(clients, corrupt, degree, threshold int) iter.Seq2[int, wide] {
	return func(yield func(int, wide) bool) {
		others := float64(clients - 1)
		k, t := float64(degree), float64(threshold)
		honest := clients - corrupt
		// reached = P[Hyp(n-1, a-1, k) >= t]. Marking one more client, when m are
		// marked, adds the draws that hold it and exactly t-1 of the m:
		// step = C(m,t-1) C(n-2-m,k-t) / C(n-1,k).
		reached := wide{}
		step := hypergeometricTop(clients-1, threshold, degree) // m = t-1
		sets := choose(honest, max(threshold+1-corrupt, 1))     // C(h,s)
		for a := threshold + 1; a <= clients; a++ {
			reached = reached.add(step)
			m := float64(a - 2)
			step = step.scale((m+1)*(others-m-1-(k-t)), (m+2-t)*(others-m-1))
			// The worst number c of corrupt clients is the largest, f or a-1.
			s := a - corrupt
			var bound wide
			if s <= 1 {
				s, bound = 1, reached.scale(float64(clients-a+1), 1)
			} else {
				bound = sets.mul(reached.pow(s))
			}
			if a > corrupt {
				sets = sets.scale(float64(honest-s), float64(s+1))
			}
			// That holds only for reached <= s/(n-c); beyond, no bound is useful.
			if newWide(float64(s)).less(reached.scale(float64(clients-a+s), 1)) {
				bound = one
			}
			if !yield(a, bound) {
				return
			}
		}
	}
}

// mostIsolated returns the largest number of honest survivors that can, except
// with probability c.isolation, be in the survivor set and yet outside the
// opened sum when the least pool is pool: (I).
func (c conditions) mostIsolated(degree, pool int) int {
	outside := c.clients - pool // honest clients that need not answer
	honest, answering := c.clients-c.corrupt, pool-c.corrupt
	answers := choose(honest, answering)
	missed := one // P[no out-neighbour among size given clients]
	groups := one // C(outside, size)
	for size := 1; size <= outside; size++ {
		missed = missed.scale(float64(c.clients-degree-size), float64(c.clients-size))
		groups = groups.scale(float64(outside-size+1), float64(size))
		worstIsMost := !newWide(float64(answering)).less(missed.scale(float64(honest), 1))
		if worstIsMost && !c.isolation.less(answers.mul(groups).mul(missed.pow(answering))) {
			return size - 1
		}
	}
	return outside
}

// choose returns the binomial coefficient C(n, k).
func choose(n, k int) wide {
	result := one
	for i := range k {
		result = result.scale(float64(n-i), float64(i+1))
	}
	return result
}
