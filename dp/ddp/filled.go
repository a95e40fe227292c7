package ddp

import (
	"io"
	"slices"
)

// AddShares adds so many more shares to sums of coordinates and extras, as if so many
// clients had sent nothing else: what is left is noise of as many shares whoever took
// part. It draws as many as whole says and leaves the rest, so that the time it takes does
// not tell how many were missing. coins serve nothing else. Sums of up to 2^31 shares do
// not wrap.
func (m Mechanism) AddShares(sums, extras []int64, shares, whole int, coins io.Reader) error {
	if m.params.Central || len(sums) != m.sensitivity.Dimension || len(extras) != len(m.extras) || shares < 0 || shares > whole || whole > maxShares {
		return ErrArgument.At("AddShares: %d shares of %d to %d sums and %d extras", shares, whole, len(sums), len(extras))
	}
	aside, asideExtras := make([]int64, len(sums)), make([]int64, len(extras))
	defer clear(aside)
	for i := range whole {
		draw, err := m.Draw(coins)
		if err != nil {
			return err
		}
		to, toExtras := sums, extras
		if i >= shares {
			to, toExtras = aside, asideExtras
		}
		err = draw.addTo(to, toExtras)
		draw.Erase()
		if err != nil {
			return err
		}
	}
	return nil
}

// Filled is the mechanism of sums that are filled up to so many shares ([Mechanism.AddShares]),
// at most Clients, of which so many corrupt clients may take theirs off. Each share is
// exactly as wide as before, so that its Event is that of shares - corrupt shares of m.
func (m Mechanism) Filled(shares, corrupt int) (Mechanism, error) {
	if m.params.Central || corrupt < 0 || shares < m.params.Survivors || shares > m.params.Clients {
		return Mechanism{}, ErrArgument.At("Filled: %d shares with %d corrupt", shares, corrupt)
	}
	if corrupt >= shares {
		return Mechanism{}, ErrHonest.At("%d shares with %d corrupt", shares, corrupt)
	}
	m.params = m.Parameters()
	m.params.Survivors, m.params.Corrupt = shares, corrupt
	m.shares.count = shares - corrupt
	m.params.Sigma = m.shares.Sigma() / m.params.Scale
	m.extras = slices.Clone(m.extras)
	for k := range m.extras {
		m.extras[k].count = shares - corrupt
		m.params.Extras[k].Sigma = m.extras[k].Sigma()
	}
	return m, nil
}
