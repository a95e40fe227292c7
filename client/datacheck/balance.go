package datacheck

// balance measures how the kept examples spread over the classes. Those of no known
// class count in the whole only.
func (r *Report) balance(b Balance) {
	s, largest := &Shares{}, 0
	for _, n := range r.Classes {
		largest = max(largest, n)
		switch {
		case n == 0:
			s.Missing++
			continue
		case n < b.FewestPerClass:
			s.Small++
		}
		s.Present++
	}
	if r.Kept > 0 {
		s.Largest = float64(largest) / float64(r.Kept)
	}
	r.Balance = s
	r.Checks = append(r.Checks, Finding{Check: "balance", Mode: b.Mode, Classes: []int{},
		Failed: b.LargestShare > 0 && s.Largest > b.LargestShare || s.Present < b.FewestClasses || s.Small > 0})
}
