package bench

import (
	"bytes"
	"io"

	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
	"github.com/choir-fl/choir/secagg/pairwise"
	"github.com/choir-fl/choir/secagg/pairwise/shamir"
	"github.com/choir-fl/choir/secagg/plain"
)

const (
	// cohortSize is the cohort of the measurements with long vectors. Its graph is
	// complete: everybody is everybody's neighbour.
	cohortSize = 40
	// keyCohort is the cohort of the measurements without vectors.
	keyCohort = 100
	// vanish is the planned share of drop-outs, in parts per million.
	vanish = 300_000
)

// phases in which members and coordinator exchange messages.
var phases = []string{"advertise", "choose", "share", "upload", "agree", "unmask"}

// phaseNames are the names of the results on the bytes of each phase.
func phaseNames() (out []string) {
	for _, phase := range phases {
		out = append(out, "pairwise/down/"+phase, "pairwise/up/"+phase)
	}
	return out
}

// uploading returns an attempt in which all vectors are still to be sealed.
func uploading(d int) (*attempt, error) {
	a, err := newAttempt(pairwise.Scheme{}, shape{clients: cohortSize, words: d, width: wideWord, dropout: vanish})
	if err != nil {
		return nil, err
	}
	return a, a.advanceTo("upload")
}

// expansion measures the coordinator's unmasking beside its two limits, all three
// in turn. The masks are those of a round in which nobody dropped out: one for
// each client.
func expansion(s *suite) error {
	keystream, err := keystreamLimit(s.d)
	if err != nil {
		return err
	}
	contestants := []contestant{keystream, addLimit(s.d)}
	if s.wanted("pairwise/unmask") {
		unmask, err := unmasking(s.d)
		if err != nil {
			return err
		}
		contestants = append(contestants, unmask)
	}
	times, err := race(always, contestants...)
	if err != nil {
		return err
	}
	s.add("limit/aesctr", PerCoordinate, per(times[0], s.d), 0, s.d, wideWord)
	s.add("limit/add", PerCoordinate, per(times[1], s.d), 0, s.d, wideWord)
	if len(times) > 2 {
		s.add("pairwise/unmask", PerExpansion, per(times[2], s.d, cohortSize), cohortSize, s.d, wideWord)
	}
	return nil
}

func unmasking(d int) (contestant, error) {
	a, err := uploading(d)
	if err != nil {
		return contestant{}, err
	}
	sum, err := a.sealAll(cohortSize)
	if err == nil {
		err = a.control.Advance()
	}
	if err != nil {
		return contestant{}, err
	}
	if err := a.advanceTo("open"); err != nil {
		return contestant{}, err
	}
	opening, err := a.control.Opening()
	if err != nil {
		return contestant{}, err
	}
	var masked bytes.Buffer
	if err := sum.Snapshot(&masked); err != nil {
		return contestant{}, err
	}
	var acc secagg.Accumulator
	return contestant{
		prepare: func() (err error) { // a sum is unmasked once, so each repetition has its own
			if acc, err = a.scheme.NewAccumulator(a.session); err != nil {
				return err
			}
			return acc.Merge(bytes.NewReader(masked.Bytes()))
		},
		run: func() error {
			for i := range acc.Pieces().Count {
				if err := acc.Unmask(opening, i); err != nil {
					return err
				}
			}
			return nil
		}}, nil
}

// pairwiseUploads measures a client's sealing, with packing and digest, and the
// coordinator's adding of what came.
func pairwiseUploads(s *suite) error {
	a, err := uploading(s.d)
	if err != nil {
		return err
	}
	if s.wanted("pairwise/mask") {
		if err := sealing(s, a); err != nil {
			return err
		}
	}
	last := cohortSize - 1 // sealing takes the first ones
	if _, err := a.step(last); err != nil {
		return err
	}
	var upload bytes.Buffer
	if err := a.seal(last, words(s.d, wideWord), &upload); err != nil {
		return err
	}
	s.add("pairwise/upload", BytesPerCoordinate, float64(upload.Len())/float64(s.d), cohortSize, s.d, wideWord)
	if !s.wanted("pairwise/aggregate") {
		return nil
	}
	return aggregate(s, "pairwise/aggregate", a, upload.Bytes())
}

func sealing(s *suite, a *attempt) error {
	member := -1 // a party seals once
	var vector []uint32
	times, err := race(once, contestant{
		prepare: func() error {
			member++
			vector = words(s.d, wideWord)
			_, err := a.step(member)
			return err
		},
		run: func() error { return a.seal(member, vector, io.Discard) },
	})
	if err != nil {
		return err
	}
	s.add("pairwise/mask", PerNeighbour, per(times[0], s.d, cohortSize-1), cohortSize, s.d, wideWord)
	return nil
}

// aggregate measures checking and adding an upload. A sum takes no more uploads
// than it has members, so it is made anew.
func aggregate(s *suite, name string, a *attempt, upload []byte) error {
	var acc secagg.Accumulator
	times, err := race(always, contestant{
		prepare: func() (err error) {
			if acc, err = a.scheme.NewAccumulator(a.session); err != nil {
				return err
			}
			return adding(acc, upload) // touch the memory
		},
		run: func() error { return adding(acc, upload) },
	})
	if err != nil {
		return err
	}
	s.add(name, PerCoordinateClient, per(times[0], s.d), a.session.Roster.Len(), s.d, a.session.WordBits)
	return nil
}

func plainSums(s *suite) error {
	a, err := newAttempt(plain.Scheme{}, shape{clients: cohortSize, words: s.d, width: wideWord})
	if err != nil {
		return err
	}
	upload := make([]byte, field.PackedLen(s.d, wideWord))
	return aggregate(s, "plain/aggregate", a, upload)
}

// pairwiseMessages counts the bytes of each phase, the vector of the upload apart.
func pairwiseMessages(s *suite) error {
	a, err := newAttempt(pairwise.Scheme{}, shape{clients: cohortSize, words: 1, width: wideWord, dropout: vanish})
	if err != nil {
		return err
	}
	if err := a.advanceTo("upload"); err != nil {
		return err
	}
	sum, err := a.sealAll(cohortSize)
	if err == nil {
		err = a.control.Advance()
	}
	if err != nil {
		return err
	}
	a.up["upload"] -= sum.Pieces().Total() * cohortSize
	if err := a.advanceTo("open"); err != nil {
		return err
	}
	for _, phase := range phases {
		s.add("pairwise/down/"+phase, BytesPerClient, float64(a.down[phase])/cohortSize, cohortSize, 0, 0)
		s.add("pairwise/up/"+phase, BytesPerClient, float64(a.up[phase])/cohortSize, cohortSize, 0, 0)
	}
	return nil
}

// pairwiseKeys measures what making keys and sharing them costs a client. A client
// makes the secrets of its edges to neighbours after it, so those in the middle of
// the roster have the mean cost.
func pairwiseKeys(s *suite) error {
	a, err := newAttempt(pairwise.Scheme{}, shape{clients: keyCohort, words: 1, width: wideWord, dropout: vanish})
	if err != nil {
		return err
	}
	for _, phase := range []string{"advertise", "share"} {
		if !s.wanted("pairwise/" + phase) {
			continue
		}
		if err := a.advanceTo(phase); err != nil {
			return err
		}
		member := (keyCohort - once) / 2
		times, err := race(once, contestant{
			prepare: func() error { member++; return nil }, // a party answers once; later it repeats itself
			run:     func() error { _, err := a.step(member); return err },
		})
		if err != nil {
			return err
		}
		s.add("pairwise/"+phase, PerClient, per(times[0])/1e6, keyCohort, 0, 0)
	}
	return nil
}

// Recoveries of one measurement, and the threshold of each.
const (
	recoveries = 100
	threshold  = 67
)

// recovery measures rebuilding secrets as the coordinator does, one for each client.
func recovery(s *suite) error {
	coins := field.NewStream([32]byte{4})
	points := make([]shamir.Point, threshold)
	for i := range points {
		points[i] = shamir.Point(i + 1)
	}
	shares := make([][]shamir.Share, recoveries)
	for i := range shares {
		secret, err := shamir.Random(coins)
		if err != nil {
			return err
		}
		if shares[i], err = shamir.Split(secret, threshold, points, coins); err != nil {
			return err
		}
	}
	times, err := race(always, contestant{run: func() error {
		for _, of := range shares {
			if _, err := shamir.Recover(of, threshold); err != nil {
				return err
			}
		}
		return nil
	}})
	if err != nil {
		return err
	}
	s.add("pairwise/shamir", Milliseconds, per(times[0])/1e6, recoveries, threshold, 0)
	return nil
}
