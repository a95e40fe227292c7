package oneshot

import (
	"bytes"
	"math/big"
	"testing"

	"github.com/choir-fl/choir/secagg"
	"github.com/stretchr/testify/require"
)

func goodPolicy(t testing.TB) secagg.Policy {
	committee, _ := testCommittee(t, 7, 2)
	return secagg.Policy{Clients: 1000, Minimum: 800, Corrupt: 10_000, Dropout: 100_000, Attempts: 8, View: secagg.ViewSum,
		Committee: committee, Words: 100_000, WordBits: 26}
}

func TestPoliciesThatCannotBeMetAreRefused(t *testing.T) {
	_, err := Scheme{}.Configure(goodPolicy(t))
	require.NoError(t, err)
	for name, c := range map[string]struct {
		change func(*secagg.Policy)
		want   error
	}{
		"no committee":                       {func(p *secagg.Policy) { p.Committee = secagg.Committee{} }, ErrParameters},
		"words too wide":                     {func(p *secagg.Policy) { p.WordBits = 33 }, ErrParameters},
		"no words":                           {func(p *secagg.Policy) { p.Words = 0 }, ErrParameters},
		"nine attempts":                      {func(p *secagg.Policy) { p.Attempts = 9 }, ErrParameters},
		"fewer attempts than may be spoiled": {func(p *secagg.Policy) { p.Attempts = 2 }, ErrParameters},
		"everybody corrupt":                  {func(p *secagg.Policy) { p.Corrupt = million }, ErrParameters},
		"one honest client":                  {func(p *secagg.Policy) { p.Minimum = 11 }, ErrHonest},
		"fifteen clients":                    {func(p *secagg.Policy) { p.Clients, p.Minimum = 15, 5 }, ErrCohort},
		"evictions and drop-outs":            {func(p *secagg.Policy) { p.Minimum = 881 }, ErrParameters},
		"evictions after an early close":     {func(p *secagg.Policy) { p.CloseAt = 819 }, ErrParameters},
		"a bucket without two honest clients": {func(p *secagg.Policy) {
			p.View, p.Buckets = secagg.ViewBucketMeans, secagg.Buckets{Size: 16, Minimum: 9}
		}, ErrHonest},
		"a fallback without two honest clients": {func(p *secagg.Policy) { p.Buckets = secagg.Buckets{Size: 9, Minimum: 7} }, ErrHonest},
		"more buckets than fit into an answer": {func(p *secagg.Policy) {
			p.Clients, p.Minimum, p.Corrupt, p.Buckets = 9000, 7000, 1, secagg.Buckets{Size: 6, Minimum: 5}
		}, ErrParameters},
	} {
		t.Run(name, func(t *testing.T) {
			p := goodPolicy(t)
			c.change(&p)
			_, err := Scheme{}.Configure(p)
			require.ErrorIs(t, err, c.want)
			_, err = Measure(p)
			require.ErrorIs(t, err, c.want)
		})
	}
	for name, change := range map[string]func(*secagg.Policy){
		"least two honest clients":   func(p *secagg.Policy) { p.Minimum = 12 },
		"all but what may be lost":   func(p *secagg.Policy) { p.Minimum = 880 },
		"as few attempts as allowed": func(p *secagg.Policy) { p.Attempts = 3 },
		"a close that leaves enough": func(p *secagg.Policy) { p.CloseAt = 820 },
		"few clients, all known":     func(p *secagg.Policy) { p.Clients, p.Minimum, p.CrossSilo, p.Dropout = 5, 3, true, 0 },
		"the buckets of the design": func(p *secagg.Policy) {
			p.View, p.Buckets = secagg.ViewBucketMeans, secagg.Buckets{Size: 16, Minimum: 12}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := goodPolicy(t)
			change(&p)
			_, err := Scheme{}.Configure(p)
			require.NoError(t, err)
		})
	}
}

// TestFiguresAreThoseOfAnAttempt compares what a plan is told with what is sent.
func TestFiguresAreThoseOfAnAttempt(t *testing.T) {
	s := shape{n: 20, corrupt: 1, minimum: 10, buckets: secagg.Buckets{Size: 5, Minimum: 4}, words: 9000, bits: 26}
	w := newScene(t, s)
	f, err := Measure(policyOf(w.shape, w.session.Committee))
	require.NoError(t, err)
	ring := w.control.(*control).attempt.ring
	require.Equal(t, Figures{Set: ring.Set(), Degree: ring.N(), Kappa: ring.Kappa(), Slots: ring.Slots(), Corrupt: 1,
		Buckets: 4, BucketSize: 5, CorruptInBucket: 1, Honest: 3, Chunks: ring.Chunks(), Body: ring.Bytes(), Letters: 4, LetterSize: letterSize(ring),
		Upload: f.Upload, Frame: f.Frame, MemberLetters: f.MemberLetters, MemberVerdicts: 20 * 17, MemberAnswer: 4 * 4 * ring.N()}, f)
	w.upload = func(_ int, sealed, frame []byte) ([]byte, []byte) {
		require.EqualValues(t, f.Upload, len(sealed))
		require.Len(t, frame, f.Frame)
		return sealed, frame
	}
	w.message = func(phase string, party int, body []byte) []byte {
		if phase == "unmask" {
			require.Len(t, bodyOf(t, body), f.MemberAnswer)
		}
		return body
	}
	w.opens()
	require.EqualValues(t, f.MemberLetters, w.stream(0, 0).Len())
}

// TestCorruptClientsInABucketFollowTheTail compares with the definition, in
// fractions: whichever bucket it is, there are more than c* corrupt clients in it with
// probability at most 2^-43 over the number of buckets.
func TestCorruptClientsInABucketFollowTheTail(t *testing.T) {
	choose := func(a, b int) *big.Rat {
		if b < 0 || b > a {
			return new(big.Rat)
		}
		return new(big.Rat).SetInt(new(big.Int).Binomial(int64(a), int64(b)))
	}
	slow := func(n, f, count int) int {
		drawn := bucketSize(n, count)
		bound := big.NewRat(1, 1)
		for range PrivacyBits {
			bound.Mul(bound, big.NewRat(1, 2))
		}
		for c := 0; ; c++ {
			tail := new(big.Rat)
			for x := c + 1; x <= min(f, drawn); x++ {
				p := new(big.Rat).Mul(choose(f, x), choose(n-f, drawn-x))
				tail.Add(tail, p.Quo(p, choose(n, drawn)))
			}
			tail.Mul(tail, big.NewRat(int64(8*count), 1))
			if tail.Cmp(bound) <= 0 {
				return c
			}
		}
	}
	for _, n := range []int{4, 17, 48, 100, 333, 1000} {
		for _, share := range []int{0, 1, 10_000, 50_000, 200_000, 900_000} {
			for _, size := range []int{4, 9, 16, 48, 2000} {
				f, count := secagg.ShareOf(n, share), max(1, n/size)
				if f < n && (n < 1000 || share <= 50_000) { // fractions are slow
					require.Equal(t, slow(n, f, count), corruptInBucket(n, f, count), "%d of %d in %d buckets", f, n, count)
				}
			}
		}
	}
	require.Equal(t, 8, corruptInBucket(1000, 10, 62))
	require.Equal(t, 10, corruptInBucket(1000, 10, 1), "one bucket holds everybody")
	require.Equal(t, 0, corruptInBucket(1000, 0, 62))
	require.Equal(t, 15, corruptInBucket(2400, 240, 150), "with 14, some bucket has one honest client with probability 2^-36")
}

func TestParametersSurviveTheirEncoding(t *testing.T) {
	p := Parameters{Corrupt: 5, Clients: 100, Set: "S", CrossSilo: true, Attempts: 3}
	back, err := DecodeParameters(p.Encode())
	require.NoError(t, err)
	require.Equal(t, p, back)
	for _, bad := range []Parameters{
		{Corrupt: million, Clients: 1, Set: "S", Attempts: 1}, {Clients: 0, Set: "S", Attempts: 1}, {Clients: 1, Set: "L", Attempts: 1},
		{Clients: 1, Set: "S", Attempts: 0}, {Clients: 1, Set: "S", Attempts: 9}, {Corrupt: -1, Clients: 1, Set: "S", Attempts: 1},
	} {
		require.ErrorIs(t, bad.Check(), ErrParameters)
	}
	_, err = DecodeParameters([]byte("x"))
	require.ErrorIs(t, err, ErrParameters)
}

// refusedByAll requires every party to refuse a session.
func (w *scene) refusedByAll(s secagg.Session, want error) {
	w.t.Helper()
	_, err := Scheme{}.NewParty(s, 0, w.clientKeys[0], coins("x"))
	require.ErrorIs(w.t, err, want)
	_, err = Scheme{}.ResumeParty(s, 0, w.clientKeys[0], nil)
	require.ErrorIs(w.t, err, want)
	_, err = Scheme{}.NewCommitteeParty(s, 0, w.keys[0], w.records[0])
	require.ErrorIs(w.t, err, want)
	_, err = Scheme{}.NewControl(s)
	require.ErrorIs(w.t, err, want)
	_, err = Scheme{}.NewAccumulator(s)
	require.ErrorIs(w.t, err, want)
}

func TestSessionsThatAreNotAcceptableAreRefusedByAllParties(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *scene, s *secagg.Session)
		want   error
	}{
		"another scheme":               {func(_ *scene, s *secagg.Session) { s.Binding.Scheme = "plain" }, secagg.ErrSession},
		"part of another":              {func(_ *scene, s *secagg.Session) { s.Binding.Within = secagg.Hash("x") }, secagg.ErrSession},
		"no parameters":                {func(_ *scene, s *secagg.Session) { s.Binding.Parameters = nil }, ErrParameters},
		"attempt 9":                    {func(_ *scene, s *secagg.Session) { s.Binding.Round.Attempt = 9 }, ErrParameters},
		"minimum of none":              {func(_ *scene, s *secagg.Session) { s.Minimum = 0 }, secagg.ErrSession},
		"minimum of all+1":             {func(_ *scene, s *secagg.Session) { s.Minimum = 9 }, secagg.ErrSession},
		"no buckets":                   {func(_ *scene, s *secagg.Session) { s.Buckets = 0 }, secagg.ErrSession},
		"minimum of one honest client": {func(_ *scene, s *secagg.Session) { s.Minimum = 3 }, ErrHonest},
		"bucket of one honest client":  {func(_ *scene, s *secagg.Session) { s.BucketMinimum = 3 }, ErrHonest},
		"words too wide":               {func(_ *scene, s *secagg.Session) { s.WordBits = 40 }, ErrParameters},
		"too few announcements": {func(_ *scene, s *secagg.Session) {
			s.Announcements = secagg.Announcements{{}, {}, s.Announcements[2], s.Announcements[3]}
		}, ErrQuorum},
		"too few nonces that count": {func(_ *scene, s *secagg.Session) {
			s.Announcements = append(secagg.Announcements(nil), s.Announcements...)
			s.Announcements[0].LeftOut, s.Announcements[2].LeftOut = true, true
		}, ErrQuorum},
		"one member's announcement as another's": {func(_ *scene, s *secagg.Session) {
			s.Announcements = append(secagg.Announcements(nil), s.Announcements...)
			s.Announcements[1].Body = s.Announcements[2].Body
		}, ErrAnnouncement},
		"a key that its owner did not announce": {func(w *scene, s *secagg.Session) {
			s.Announcements = append(secagg.Announcements(nil), s.Announcements...)
			m, _ := decodeAnnouncement(s.Announcements[1].Body)
			_, m.key = epochKey(secagg.Hash("the coordinator's own"))
			s.Announcements[1].Body = m.encode()
		}, ErrAnnouncement},
		"fewer announcements than members": {func(_ *scene, s *secagg.Session) { s.Announcements = s.Announcements[:3] }, secagg.ErrSession},
		"no committee":                     {func(_ *scene, s *secagg.Session) { s.Committee, s.Announcements = secagg.Committee{}, nil }, secagg.ErrSession},
		"fewer than sixteen clients": {func(_ *scene, s *secagg.Session) {
			p, _ := DecodeParameters(s.Binding.Parameters)
			p.CrossSilo = false
			s.Binding.Parameters = p.Encode()
		}, ErrCohort},
		"more clients than the noise has room for": {func(_ *scene, s *secagg.Session) {
			p, _ := DecodeParameters(s.Binding.Parameters)
			p.Clients = 7
			s.Binding.Parameters = p.Encode()
		}, ErrCohort},
	} {
		t.Run(name, func(t *testing.T) {
			w := newScene(t, shape{})
			s := w.session
			c.change(w, &s)
			s.Binding.Committee = s.Announcements.Root(s.Committee)
			s.Context = s.Binding.Context()
			w.refusedByAll(s, c.want)
		})
	}
	w := newScene(t, shape{})
	s := w.session
	s.Context = secagg.Hash("x")
	w.refusedByAll(s, secagg.ErrSession)
	s = w.session
	s.Binding.Committee = secagg.Hash("x")
	s.Context = s.Binding.Context()
	w.refusedByAll(s, secagg.ErrSession)
	s = w.session
	s.Announcements = append(secagg.Announcements(nil), s.Announcements...)
	s.Announcements[3] = secagg.Announcement{} // a member that the context counts in
	w.refusedByAll(s, secagg.ErrSession)
}

func TestAMemberTakesNoSessionWithoutItsOwnAnnouncement(t *testing.T) {
	w := newScene(t, shape{})
	r, err := Scheme{}.Announce(w.shape.round, w.session.Committee, 0, w.keys[0], coins("again"))
	require.NoError(t, err)
	for _, body := range [][]byte{nil, r.Message} { // left out, or what it announced another time
		s := w.session
		s.Announcements = append(secagg.Announcements(nil), s.Announcements...)
		s.Announcements[0].Body = body
		s.Binding.Committee = s.Announcements.Root(s.Committee)
		s.Context = s.Binding.Context()
		_, err = Scheme{}.NewCommitteeParty(s, 0, w.keys[0], w.records[0])
		require.ErrorIs(t, err, ErrAnnouncement)
	}
}

func TestKeysOfSomebodyElseAreRefused(t *testing.T) {
	w := newScene(t, shape{})
	_, err := Scheme{}.NewCommitteeParty(w.session, 0, w.keys[1], w.records[0])
	require.ErrorIs(t, err, secagg.ErrSession)
	_, err = Scheme{}.Announce(w.shape.round, w.session.Committee, 0, w.keys[1], coins("x"))
	require.ErrorIs(t, err, secagg.ErrSession)
	_, err = Scheme{}.NewParty(w.session, 0, w.clientKeys[1], coins("x"))
	require.ErrorIs(t, err, secagg.ErrSession)
	_, err = Scheme{}.NewParty(w.session, 8, w.clientKeys[1], coins("x"))
	require.ErrorIs(t, err, secagg.ErrSession)
	_, err = Scheme{}.Announce(w.shape.round, w.session.Committee, 4, w.keys[1], coins("x"))
	require.ErrorIs(t, err, secagg.ErrSession)
	none := w.keys[0]
	none.Epochs = nil
	_, err = Scheme{}.Announce(w.shape.round, w.session.Committee, 0, none, coins("x"))
	require.ErrorIs(t, err, secagg.ErrSession)
}

func TestAMemberAnnouncesNoNinthAttempt(t *testing.T) {
	w := newScene(t, shape{})
	for attempt, ok := range map[uint32]bool{0: false, 1: true, 8: true, 9: false} {
		_, err := Scheme{}.Announce(secagg.RoundID{Job: "job", Round: 1, Attempt: attempt}, w.session.Committee, 0, w.keys[0], coins("x"))
		require.Equal(t, ok, err == nil, attempt)
	}
}

func TestAnnouncementsAreOfTheNewestEpochAndOneAttempt(t *testing.T) {
	w := newScene(t, shape{})
	m, err := decodeAnnouncement(w.session.Announcements[2].Body)
	require.NoError(t, err)
	require.EqualValues(t, 2, m.epoch)
	check := func(round secagg.RoundID, member int, body []byte) error {
		return Scheme{}.CheckAnnouncement(round, w.session.Committee, member, body)
	}
	body := w.session.Announcements[2].Body
	require.NoError(t, check(w.shape.round, 2, body))
	require.ErrorIs(t, check(w.shape.round, 1, body), ErrAnnouncement)
	require.ErrorIs(t, check(w.shape.round, 4, body), ErrAnnouncement)
	require.ErrorIs(t, check(w.shape.round, 2, nil), ErrAnnouncement)
	require.ErrorIs(t, check(secagg.RoundID{Job: "job", Round: 1, Attempt: 2}, 2, body), ErrAnnouncement)
	for at := range body {
		if at%97 == 0 {
			forged := bytes.Clone(body)
			forged[at] ^= 1
			require.ErrorIs(t, check(w.shape.round, 2, forged), ErrAnnouncement)
		}
	}
}
