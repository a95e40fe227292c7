package decryptor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
)

// whole is an attempt from its first instruction to its end.
var whole = []line{{"sign x", 0}, {"judge", 150}, {"sign x", 150}, {"count 150", 150}}

var errUnavailable = fault.New(fault.Unavailable, "test/unavailable", "unavailable", "")

// failOn refuses the nth call of a kind; the negative nth all of them.
func failOn(call string, nth int, err error) func(string, int) error {
	return func(c string, n int) error {
		if c == call && (n == nth || nth < 0) {
			return err
		}
		return nil
	}
}

// runFor runs a member for a time of its own clock.
func runFor(t *testing.T, d *Decryptor, life time.Duration) error {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), life)
	defer stop()
	return d.Run(ctx)
}

func TestAMemberServesAnAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCoordinator(t, whole...)
		c.offer("job")
		go func() { // the step after the letters is entered a while later
			<-time.After(time.Minute)
			c.mu.Lock()
			defer c.mu.Unlock()
			c.proceed(c.jobs["job"], 3)
		}()
		state := newMemory()
		require.ErrorIs(t, runFor(t, memberOf(t, c, state, "job"), time.Hour), context.DeadlineExceeded)
		require.True(t, c.over("job"))
		said := c.said()
		require.Equal(t, []string{"signed x", "judged 0-64", "judged 64-128", "judged 128-150"}, said[:4], "letters in batches")
		require.Equal(t, []string{"signed x", "counted 150"}, said[len(said)-2:])
		r, err := decodeRecord(state.records["job"])
		require.NoError(t, err)
		require.Equal(t, record{round: taskOf(t, "job").Round}, r, "nothing but the name of the attempt is left")
	})
}

func TestJobsAreServedBesideEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCoordinator(t, line{"sign x", 0}, line{"judge", 1})
		c.offer("one")
		c.offer("two")
		_ = runFor(t, memberOf(t, c, newMemory(), "one", "two", "idle"), 20*time.Second)
		require.Equal(t, []string{"judged 0-1", "judged 0-1", "signed x", "signed x"}, slices.Sorted(slices.Values(c.said()[:4])), "neither waits for the other")
	})
}

// What arrived whole of a stream that broke off is not asked for again.
func TestABrokenStreamOfLettersGoesOnWhereItStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCoordinator(t, line{"count 150", 150})
		c.offer("job")
		c.fail = failOn("letters", 1, errUnavailable)
		_ = runFor(t, memberOf(t, c, newMemory(), "job"), time.Minute)
		require.Equal(t, []string{"counted 150"}, c.said())
		require.Equal(t, 2, c.calls["letters"])
	})
}

// A later instruction takes a request for letters back.
func TestALaterInstructionEndsTheWaitForLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCoordinator(t, line{"judge", 0}, line{"sign x", 0})
		c.offer("job")
		go func() {
			<-time.After(time.Minute)
			c.mu.Lock()
			defer c.mu.Unlock()
			c.proceed(c.jobs["job"], 2)
		}()
		_ = runFor(t, memberOf(t, c, newMemory(), "job"), 2*time.Minute)
		require.Equal(t, []string{"signed x"}, c.said())
		require.True(t, c.over("job"))
	})
}

func TestAnAnswerIsRepeatedUntilSomethingFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCoordinator(t, line{"judge", 1}) // whose answer ends no step here
		c.offer("job")
		_ = runFor(t, memberOf(t, c, newMemory(), "job"), 5*time.Minute)
		require.Equal(t, []string{"judged 0-1", "judged 0-1", "judged 0-1", "judged 0-1", "judged 0-1"}, c.said(), "after 15, 45, 105, 225 seconds")
	})
}

// A refused instruction or answer costs the step and not the attempt.
func TestAnAttemptGoesOnAfterARefusal(t *testing.T) {
	for name, class := range map[string]fault.Class{"invalid": fault.Invalid, "refused": fault.Refused, "too late": fault.Conflict} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCoordinator(t, line{"sign x", 0}, line{"sign y", 0}, line{"sign x", 0})
				c.offer("job")
				c.fail = failOn("send 1", 1, fault.New(class, "test/refusal", "refused", ""))
				go func() {
					for step := 2; step <= 3; step++ {
						<-time.After(time.Minute)
						c.mu.Lock()
						c.proceed(c.jobs["job"], step)
						c.mu.Unlock()
					}
				}()
				_ = runFor(t, memberOf(t, c, newMemory(), "job"), 10*time.Minute)
				require.Equal(t, []string{"signed x"}, c.said())
				require.Zero(t, c.calls["send 2"], "what contradicts an earlier promise is not answered")
				require.True(t, c.over("job"))
			})
		})
	}
}

func TestRunReturnsOnlyForGood(t *testing.T) {
	for name, row := range map[string]struct {
		call  string
		class fault.Class
		ends  bool
	}{
		"unknown":     {"check-in", fault.Unauthenticated, true},
		"turned away": {"check-in", fault.Denied, true},
		"unavailable": {"check-in", fault.Unavailable, false},
		"no such run": {"check-in", fault.NotFound, false},
		"revoked":     {"receive", fault.Denied, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCoordinator(t, whole...)
				c.offer("job")
				refusal := fault.New(row.class, "test/refusal", "refused", "")
				c.fail = failOn(row.call, -1, refusal)
				err := runFor(t, memberOf(t, c, newMemory(), "job", "idle"), time.Hour)
				if row.ends {
					require.ErrorIs(t, err, refusal)
					return
				}
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.Greater(t, c.calls["check-in"], 50, "not less often than each minute")
				require.Less(t, c.calls["check-in"], 500)
			})
		})
	}
	t.Run("a record that cannot be read", func(t *testing.T) {
		s := newMemory()
		s.records["job"] = []byte("damaged")
		c := newCoordinator(t, whole...)
		c.offer("job")
		require.ErrorIs(t, memberOf(t, c, s, "job", "idle").Run(t.Context()), ErrRecord)
		require.Zero(t, c.calls["send 0"])
	})
	t.Run("epochs that cannot be read", func(t *testing.T) {
		s := newMemory()
		s.records[Epochs] = []byte("damaged")
		p := policyOf(t, "job")
		p.Keys.Epochs = nil
		_, err := New(Config{Policy: p, Transport: newCoordinator(t), State: s, Epoch: time.Hour, Now: time.Now})
		require.ErrorIs(t, err, ErrRecord)
	})
}

// An attempt that cannot be resumed is left for good, and the next one served.
func TestAnAttemptThatCannotBeResumedIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCoordinator(t, line{"sign x", 0})
		c.offer("job")
		task := c.tasks["job"]
		_, fx := accepted(t, task, nil)
		s := newMemory()
		require.NoError(t, s.Save("job", fx.Record))
		p := policyOf(t, "job")
		p.Keys.Epochs, p.Limits.Minimum = nil, 17
		d, err := New(Config{Policy: p, Transport: c, State: s, Epoch: time.Hour, Now: time.Now})
		require.NoError(t, err)
		_ = runFor(t, d, 30*time.Second)
		require.Zero(t, c.calls["send 0"])
		r, err := decodeRecord(s.records["job"])
		require.NoError(t, err)
		require.Equal(t, record{round: task.Round}, r)
	})
}

// seedsIn returns the epochs that a state holds.
func seedsIn(t *testing.T, s *memory) (numbers []uint64, seeds map[[32]byte]bool) {
	t.Helper()
	epochs, _, err := decodeEpochs(s.records[Epochs])
	require.NoError(t, err)
	seeds = map[[32]byte]bool{}
	for _, e := range epochs {
		numbers = append(numbers, e.Number)
		seeds[e.Seed] = true
	}
	return numbers, seeds
}

func TestEpochsTurnAndOldSeedsAreErased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := newCoordinator(t), newMemory()
		d := memberOf(t, c, s, "job")
		numbers, first := seedsIn(t, s)
		require.Equal(t, []uint64{1}, numbers)
		_ = runFor(t, d, 12*time.Hour)
		d = memberOf(t, c, s, "job")
		numbers, _ = seedsIn(t, s)
		require.Equal(t, []uint64{1}, numbers, "a restart begins no epoch")
		_ = runFor(t, d, 13*time.Hour)
		numbers, second := seedsIn(t, s)
		require.Equal(t, []uint64{1, 2}, numbers, "an epoch lasts across restarts")
		for seed := range first {
			require.True(t, second[seed])
		}
		_ = runFor(t, d, 24*time.Hour)
		numbers, third := seedsIn(t, s)
		require.Equal(t, []uint64{2, 3}, numbers)
		for seed := range first {
			require.False(t, third[seed])
		}
		require.Len(t, third, 2)
		<-time.After(24 * time.Hour)
		memberOf(t, c, s, "job")
		numbers, _ = seedsIn(t, s)
		require.Equal(t, []uint64{3, 4}, numbers, "one that was over while the member was down")
	})
}

// A coordinator cannot keep the keys of an epoch alive by never ending an attempt.
func TestAnAttemptEndsWithTheKeysOfItsEpoch(t *testing.T) {
	for life, over := range map[time.Duration]bool{47 * time.Hour: false, 49 * time.Hour: true} {
		synctest.Test(t, func(t *testing.T) {
			c := newCoordinator(t, line{"judge", 0}) // and no letter ever comes
			c.offer("job")
			s := newMemory()
			_ = runFor(t, memberOf(t, c, s, "job"), life)
			r, err := decodeRecord(s.records["job"])
			require.NoError(t, err)
			require.Equal(t, taskOf(t, "job").Round, r.round)
			require.Equal(t, over, r.task == nil, "after %v", life)
		})
	}
}

// brittle is a State of which one Save fails, before its effect or after it.
type brittle struct {
	*memory
	at        int // number of the Save, from 1
	persisted bool
	kill      context.CancelFunc // nil to let the member go on
	saves     int
	fired     bool
}

var errDisk = errors.New("injected fault")

func (b *brittle) Save(name string, record []byte) error {
	b.saves++
	if b.fired && b.kill != nil {
		return errDisk // dead
	}
	if b.saves != b.at {
		return b.memory.Save(name, record)
	}
	b.fired = true
	if b.persisted {
		_ = b.memory.Save(name, record)
	}
	if b.kill != nil {
		b.kill()
	}
	return errDisk
}

// At each point where something is made durable, a fault or a crash there leaves a
// member that gives no second answer, and that serves the attempt to its end unless
// its record says that it was left.
func TestAFaultAtAnyDurablePointGivesNoSecondAnswer(t *testing.T) {
	lines := []line{{"sign x", 0}, {"count 120", 120}, {"sign x", 120}}
	count := &brittle{memory: newMemory()}
	synctest.Test(t, func(t *testing.T) {
		c := newCoordinator(t, lines...)
		c.offer("job")
		_ = runFor(t, memberOf(t, c, count, "job"), time.Minute)
		require.True(t, c.over("job"))
	})
	require.Equal(t, 5, count.saves, "epochs, announcement, roster and signature, signature, end")
	for at := 1; at <= count.saves; at++ {
		for _, persisted := range []bool{false, true} {
			for _, killed := range []bool{false, true} {
				t.Run(fmt.Sprintf("save %d failed, persisted %v, killed %v", at, persisted, killed), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { faultAt(t, lines, at, persisted, killed) })
				})
			}
		}
	}
}

func faultAt(t *testing.T, lines []line, at int, persisted, killed bool) {
	c := newCoordinator(t, lines...)
	c.offer("job")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	s := &brittle{memory: newMemory(), at: at, persisted: persisted}
	if killed {
		s.kill = stop
	}
	p := policyOf(t, "job")
	p.Keys.Epochs = nil
	cfg := Config{Policy: p, Transport: c, State: s, Epoch: 24 * time.Hour, Now: time.Now}
	d, err := New(cfg)
	if at == 1 {
		require.ErrorIs(t, err, errDisk)
	} else {
		require.NoError(t, err)
		if killed {
			require.ErrorIs(t, d.Run(ctx), context.Canceled)
		} else {
			_ = runFor(t, d, 10*time.Minute)
		}
	}
	require.True(t, s.fired)
	if at == 2 && killed { // nothing left before it was durable
		require.Zero(t, c.calls["send 0"])
	}
	cfg.State = s.memory
	d, err = New(cfg)
	require.NoError(t, err)
	_ = runFor(t, d, 10*time.Minute)
	require.True(t, c.over("job"))
	said := strings.Join(c.said(), ", ")
	require.NotContains(t, said, "TWO ANNOUNCEMENTS")
	require.Contains(t, said, "counted 120")
	r, err := decodeRecord(s.records["job"])
	require.NoError(t, err)
	require.Equal(t, record{round: taskOf(t, "job").Round}, r)
}

func TestConfigurationsThatLackSomethingAreRefused(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"transport": func(c *Config) { c.Transport = nil },
		"state":     func(c *Config) { c.State = nil },
		"clock":     func(c *Config) { c.Now = nil },
		"epoch":     func(c *Config) { c.Epoch = 0 },
		"policy":    func(c *Config) { c.Policy.Name = "e" },
		"epochs":    func(c *Config) { c.Policy.Keys.Epochs = []secagg.EpochSeed{{Number: 1}} },
	} {
		p := policyOf(t, "job")
		p.Keys.Epochs = nil
		c := Config{Policy: p, Transport: newCoordinator(t), State: newMemory(), Epoch: time.Hour, Now: time.Now}
		change(&c)
		_, err := New(c)
		require.ErrorIs(t, err, ErrPolicy, name)
	}
}
