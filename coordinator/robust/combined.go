package robust

// method is a rule at work: what it admits, and either weights or a pick by coordinates.
type method struct {
	admits func(n int) error
	// weigh returns the weights of the vectors of the scene, and that of what is carried.
	weigh func(s *scene) (weights []float64, carried float64, err error)
	// pick makes picks for columns of n values; choose, if it is set, says whose.
	pick   func(n int) func() func(column []float64) float64
	choose func(g gram) []int
	// carries returns the vector whose weight weigh returns as carried.
	carries func(in Input) []float64
}

// combined is pre-aggregators and a rule made into one. Immutable.
type combined struct {
	name string
	pre  []preaggregator
	rule method
}

// Name implements Rule.
func (c combined) Name() string { return c.name }

// Admits implements Rule.
func (c combined) Admits(n int) error {
	switch {
	case n < 1:
		return ErrPrecondition.At("%s of %d vectors", c.name, n)
	case n > MaxVectors:
		return ErrTooMany.At("%s of %d vectors needs n <= %d", c.name, n, MaxVectors)
	}
	for _, p := range c.pre {
		var err error
		if n, err = p.after(n); err != nil {
			return err
		}
	}
	return c.rule.admits(n)
}

// Combine implements Rule.
func (c combined) Combine(dst []float64, in Input) (Outcome, error) {
	n := in.Vectors.Len()
	if n == 0 || len(dst) != in.Vectors.Dim() {
		return Outcome{}, ErrInput.At("%d vectors of %d values into %d", n, in.Vectors.Dim(), len(dst))
	}
	if err := c.Admits(n); err != nil {
		return Outcome{}, err
	}
	s := newScene(in)
	for _, p := range c.pre {
		rows, err := p.rows(s)
		if err != nil {
			return Outcome{}, err
		}
		s.mix(rows)
	}
	if c.rule.weigh == nil {
		return c.byCoordinates(dst, s), nil
	}
	weights, carried, err := c.rule.weigh(s)
	if err != nil {
		return Outcome{}, err
	}
	weights = s.mixed.back(weights)
	in.Vectors.weighted(dst, weights, in.Each)
	if c.rule.carries != nil {
		if v := c.rule.carries(in); v != nil {
			axpy(dst, carried, v)
		}
	}
	return Outcome{Weights: weights, Carried: carried, Excluded: excluded(weights)}, nil
}

// byCoordinates lets the pick loose on the columns of the scene's vectors, or of those
// chosen. Whom no chosen one contains has no part in the result.
func (c combined) byCoordinates(dst []float64, s *scene) Outcome {
	v, m := s.in.Vectors, s.mixed
	var out Outcome
	if c.rule.choose != nil {
		var rows [][]float64
		part := make([]float64, m.n)
		for _, i := range c.rule.choose(s.gram()) {
			rows = append(rows, m.row(i))
			for j, a := range m.row(i) {
				part[j] = max(part[j], a)
			}
		}
		m, out.Excluded = mixing{n: m.n, rows: rows}, excluded(part)
	}
	v.columns(dst, m, s.in.Each, c.rule.pick(m.len()))
	return out
}
