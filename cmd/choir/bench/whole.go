package bench

import (
	"io"
	"slices"
	"time"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/oneshot"
	"github.com/choir-fl/choir/secagg/pairwise"
	"github.com/choir-fl/choir/secagg/plain"
)

// gone is how many of largeCohort drop out in the measurements of whole attempts, a
// tenth.
const gone = largeCohort / 10

// oneshotClient measures all that the scheme does on a client in an attempt: reading
// the roster, the checks of session and instruction, the whole upload with its digest,
// and the letters. Clipping and rounding are field/encode.
func oneshotClient(s *suite) error {
	a, err := large(s.d)
	if err != nil {
		return err
	}
	if err := a.advanceTo("upload"); err != nil {
		return err
	}
	member := -1 // a client uploads once
	var vector []uint32
	roster, announced := a.session.Roster.Encode(), a.session.Announcements.Encode()
	times, err := race(once, contestant{
		prepare: func() error {
			member++
			vector = small(s.d)
			return nil
		},
		run: func() error {
			if _, err := secagg.DecodeRoster(roster); err != nil {
				return err
			}
			if _, err := secagg.DecodeAnnouncements(announced); err != nil {
				return err
			}
			if _, err := a.step(member); err != nil {
				return err
			}
			_, err := a.parties[member].Seal(vector, io.Discard)
			return err
		},
	})
	if err != nil {
		return err
	}
	s.add("oneshot/client", PerClient, per(times[0])/1e6, largeCohort, s.d, sumWord)
	return nil
}

// roster measures a client's check that everybody in a roster was enrolled, which under
// a committee is the members' to make.
func roster(s *suite) error {
	a, err := newAttempt(plain.Scheme{}, shape{clients: largeCohort, words: 1, width: wideWord})
	if err != nil {
		return err
	}
	encoded := a.session.Roster.Encode()
	times, err := race(once, contestant{run: func() error {
		_, err := client.ReadRoster(encoded, a.issuer)
		return err
	}})
	if err != nil {
		return err
	}
	s.add("client/roster", PerClient, per(times[0])/1e6, largeCohort, 0, 0)
	return nil
}

// several is how many uploads with long vectors there are in the measurement of the
// coordinator: they are added over and over, which takes the time of as many others.
const several = 8

// oneshotCoordinator measures the coordinator's work for the scheme in an attempt in
// which a tenth drops out: digests, checks and sums of all uploads, the verdicts of the
// committee, and the opening. It is made of three parts: an attempt of the whole cohort
// with short vectors, of which only the coordinator's calls are timed; as many uploads
// with long vectors, of which there are several, digested, checked and added; and the
// opening of such a sum.
func oneshotCoordinator(s *suite) error {
	control, err := controlTime()
	if err != nil {
		return err
	}
	vectors, err := vectorTime(s.d)
	if err != nil {
		return err
	}
	s.add("oneshot/coordinator", Seconds, (control + vectors).Seconds(), largeCohort, s.d, sumWord)
	return nil
}

// timed is a control whose calls are timed.
type timed struct {
	secagg.Control
	spent time.Duration
}

func (t *timed) watch(began time.Duration) { t.spent += processorTime() - began }

func (t *timed) Receive(party int, body []byte) (bool, error) {
	defer t.watch(processorTime())
	return t.Control.Receive(party, body)
}

func (t *timed) Advance() error {
	defer t.watch(processorTime())
	return t.Control.Advance()
}

func (t *timed) Opening() (secagg.Opening, error) {
	defer t.watch(processorTime())
	return t.Control.Opening()
}

// controlTime is what the coordinator's half takes without long vectors.
func controlTime() (time.Duration, error) {
	a, err := newAttempt(oneshot.Scheme{}, shape{clients: largeCohort, words: chunkWords, width: sumWord, committee: decryptors, dropout: vanish})
	if err != nil {
		return 0, err
	}
	t := &timed{Control: a.control}
	a.control = t
	if err := a.advanceTo("upload"); err != nil {
		return 0, err
	}
	if _, err := a.sealAll(largeCohort - gone); err != nil {
		return 0, err
	}
	for j := range a.committee {
		if err := a.ask(largeCohort + j); err != nil {
			return 0, err
		}
	}
	if err := t.Advance(); err != nil {
		return 0, err
	}
	if err := a.advanceTo("open"); err != nil {
		return 0, err
	}
	_, err = t.Opening()
	return t.spent, err
}

// vectorTime is what the vectors take.
func vectorTime(d int) (time.Duration, error) {
	a, err := large(d)
	if err != nil {
		return 0, err
	}
	ring, err := newRing(d)
	if err != nil {
		return 0, err
	}
	uploads, err := distinct(ring, several)
	if err != nil {
		return 0, err
	}
	acc, err := a.scheme.NewAccumulator(a.session)
	if err != nil {
		return 0, err
	}
	pieces := acc.Pieces()
	whole := make([][]byte, several)
	for i, u := range uploads {
		whole[i] = append(u.body, make([]byte, pieces.Post())...)
	}
	began := processorTime()
	for i := range largeCohort - gone {
		upload := whole[i%several]
		if _, err := secagg.NewCommitWriter(io.Discard).Write(upload); err != nil {
			return 0, err
		}
		if err := adding(acc, upload); err != nil {
			return 0, err
		}
	}
	spent := processorTime() - began
	open, err := opening(ring, uploads, largeCohort-gone)
	if err != nil {
		return 0, err
	}
	began = processorTime()
	err = open.run()
	return spent + processorTime() - began, err
}

// pairwiseWhole computes what client and coordinator do under scheme pairwise in the
// attempt of oneshot/client and oneshot/coordinator, from the costs of single
// operations measured in the same run: to make a thousand clients mask would take long.
func pairwiseWhole(s *suite) error {
	cost, err := s.unitCosts()
	if err != nil {
		return err
	}
	p := pairwise.Parameters{Corrupt: 50_000, Dropout: 100_000, Attempts: 3}
	g, err := p.Find(largeCohort)
	if err != nil {
		return err
	}
	d, n, k := float64(s.d), float64(largeCohort), float64(g.Degree)
	neighbours := 2*k - k*k/(n-1)
	onClient := (d*neighbours*cost["pairwise/mask"] + // the upload
		neighbours/(keyCohort-1)*(cost["pairwise/advertise"]+cost["pairwise/share"])*1e6) / 1e6 // keys and shares
	left := n - gone
	edges := gone * neighbours * left / (n - 1) // the masks between a drop-out and a survivor
	share := cost["pairwise/shamir"] * 1e6 / recoveries * sq(float64(g.Threshold)/threshold)
	coordinator := left*d*(cost["limit/sha256"]+cost["pairwise/aggregate"]) + // every upload
		(left+edges)*d*cost["pairwise/unmask"] + n*share // every mask, every secret
	s.compute("pairwise/client", PerClient, onClient, largeCohort, s.d, wideWord)
	s.compute("pairwise/coordinator", Seconds, coordinator/1e9, largeCohort, s.d, wideWord)
	return nil
}

// unitCosts returns what pairwiseWhole computes with, as far as it was not measured
// before.
func (s *suite) unitCosts() (map[string]float64, error) {
	cost := map[string]float64{}
	for _, r := range s.results {
		cost[r.Name] = r.Value
	}
	costs := &suite{d: s.d, wanted: func(string) bool { return true }}
	for _, need := range []struct {
		names []string
		run   func(*suite) error
	}{{[]string{"pairwise/unmask"}, expansion}, {[]string{"limit/sha256"}, digest}, {[]string{"pairwise/mask", "pairwise/aggregate"}, pairwiseUploads},
		{[]string{"pairwise/advertise", "pairwise/share"}, pairwiseKeys}, {[]string{"pairwise/shamir"}, recovery}} {
		if slices.ContainsFunc(need.names, func(name string) bool { return cost[name] == 0 }) {
			if err := need.run(costs); err != nil {
				return nil, err
			}
		}
	}
	for _, r := range costs.results {
		cost[r.Name] = r.Value
	}
	return cost, nil
}

func sq(x float64) float64 { return x * x }
