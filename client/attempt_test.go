package client_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/tensor"
)

// whole is an attempt with all kinds of steps.
var whole = []string{"advertise", "share", "upload", "agree on all", "completed"}

var errUnavailable = fault.New(fault.Unavailable, "test/unavailable", "no connection", "")

// failOn refuses a call's nth time, and every later one if it is negative.
func failOn(call string, nth int, err error) func(string, int) error {
	return func(c string, n int) error {
		if c == call && (n == nth || nth < 0) {
			return err
		}
		return nil
	}
}

func TestNothingLeavesBeforeItsRecordIsDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t, whole...)
		r, err := s.against(t, client.NewMemory(), adder(1)).RunOnce(t.Context())
		require.NoError(t, err)
		require.Equal(t, client.Result{Round: s.id(), Joined: true, Completed: true, Reason: "completed"}, r)
		require.Equal(t, []string{"check-in", "send 0", "send 1", "put", "send 2", "create", "close", "put", "keep", "upload 3",
			"put", "send 4", "erase", "remove"}, s.told())
	})
}

func TestKeysAreExchangedWhileTheTrainerWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t, whole...)
		trained := make(chan struct{})
		trainer := trainerFunc(func(ctx context.Context, m tensor.Model, task secagg.Task) (client.Update, error) {
			<-trained
			return adder(1).Train(ctx, m, task)
		})
		done := make(chan client.Result)
		go func() {
			r, _ := s.against(t, client.NewMemory(), trainer).RunOnce(t.Context())
			done <- r
		}()
		synctest.Wait()
		require.Equal(t, []string{"check-in", "send 0", "send 1", "put", "send 2"}, s.told())
		close(trained)
		require.True(t, (<-done).Completed)
	})
}

type trainerFunc func(context.Context, tensor.Model, secagg.Task) (client.Update, error)

func (f trainerFunc) Train(ctx context.Context, m tensor.Model, task secagg.Task) (client.Update, error) {
	return f(ctx, m, task)
}

func TestATombstonedAttemptIsNeverBegunAgainAndForgottenWhenItIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t, whole...)
		s.fail = failOn("create", 1, errFault) // after the shares left
		memory := client.NewMemory()
		_, err := s.against(t, memory, adder(1)).RunOnce(t.Context())
		require.ErrorIs(t, err, errFault)

		s.fail, s.calls, s.log = nil, map[string]int{}, nil // a restart; the task is offered once more
		c := s.against(t, memory, adder(1))
		_, err = c.RunOnce(t.Context())
		require.ErrorIs(t, err, secagg.ErrTombstone)
		require.NotContains(t, s.told(), "send 0")

		ctx, stop := context.WithCancel(t.Context())
		go func() { _ = c.Run(ctx) }()
		synctest.Wait()
		records, err := memory.All()
		require.NoError(t, err)
		require.Len(t, records, 1, "the attempt is not over")
		s.tell(len(whole))
		synctest.Wait()
		records, err = memory.All()
		require.NoError(t, err)
		require.Empty(t, records)
		require.NotContains(t, s.told(), "upload 3")
		stop()
		synctest.Wait()
	})
}

func TestACrashBetweenSealAndUploadUploadsTheSameBytesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t, whole...)
		s.fail = failOn("upload 3", 1, errUnavailable)
		memory := client.NewMemory()
		_, err := s.against(t, memory, adder(1)).RunOnce(t.Context())
		require.ErrorIs(t, err, errUnavailable)
		before := sealedBytes(t, memory, s.id())

		trainer := trainerFunc(func(context.Context, tensor.Model, secagg.Task) (client.Update, error) {
			return client.Update{}, errors.New("trained again")
		})
		r, err := s.against(t, memory, trainer).RunOnce(t.Context())
		require.NoError(t, err)
		require.True(t, r.Completed)
		require.Equal(t, before, s.bodies["upload 3"])
		n, err := attempts(memory)
		require.NoError(t, err)
		require.Equal(t, 1, n, "one attempt is charged once")
	})
}

func sealedBytes(t *testing.T, s client.State, id secagg.RoundID) []byte {
	r, size, err := s.Open(id)
	require.NoError(t, err)
	defer r.Close()
	b := make([]byte, size)
	_, err = r.Read(b)
	require.NoError(t, err)
	return b
}

func TestAResumedClientGivesNoSecondAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t, whole...)
		s.fail = failOn("send 4", 1, errUnavailable)
		memory := client.NewMemory()
		_, err := s.against(t, memory, adder(1)).RunOnce(t.Context())
		require.ErrorIs(t, err, errUnavailable)

		// The coordinator asks for another answer in a later step.
		s.instructions = []string{"advertise", "share", "upload", "agree on all", "agree on a few", "over"}
		c := s.against(t, memory, adder(1))
		done := make(chan client.Result)
		go func() {
			r, _ := c.RunOnce(t.Context())
			done <- r
		}()
		synctest.Wait()
		s.tell(6)
		require.Equal(t, "over", (<-done).Reason)
		require.Equal(t, []byte("agree on all"), s.bodies["send 4"])
		require.NotContains(t, s.told(), "send 5")
	})
}

func TestAClientThatFindsCheatingLeavesForGood(t *testing.T) {
	for _, step := range []int{2, 4} { // before and after the ciphertext
		synctest.Test(t, func(t *testing.T) {
			s := newScript(t, append(append([]string{}, whole[:step]...), "cheat", "over")...)
			memory := client.NewMemory()
			_, err := s.against(t, memory, adder(1)).RunOnce(t.Context())
			require.ErrorIs(t, err, secagg.ErrMembership)

			s.log = nil
			s.offers = []client.Offer{{}}
			_, err = s.against(t, memory, adder(1)).RunOnce(t.Context())
			require.NoError(t, err)
			for _, l := range s.told() {
				require.False(t, strings.HasPrefix(l, "send") || strings.HasPrefix(l, "upload"), l)
			}
			_, _, err = memory.Open(s.id())
			require.ErrorIs(t, err, client.ErrSealed)
		})
	}
}

func TestTheEndOfAnAttemptEndsTraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t, "advertise", "over")
		trainer := trainerFunc(func(ctx context.Context, _ tensor.Model, _ secagg.Task) (client.Update, error) {
			<-ctx.Done()
			return client.Update{}, ctx.Err()
		})
		r, err := s.against(t, client.NewMemory(), trainer).RunOnce(t.Context())
		require.NoError(t, err)
		require.Equal(t, "over", r.Reason)
	})
}

func TestTheEndOfTheContextLeavesTheAttemptAsACrashDoes(t *testing.T) {
	for _, row := range []struct {
		call string
		nth  int
	}{{"upload 3", 1}, {"receive", 5}, {"send 4", 1}} {
		for _, class := range []fault.Class{fault.Aborted, fault.Denied} { // a transport may say anything of a call that was cancelled
			synctest.Test(t, func(t *testing.T) {
				s := newScript(t, whole...)
				memory := client.NewMemory()
				ctx, stop := context.WithCancel(t.Context())
				s.fail = func(call string, nth int) error {
					if call == row.call && nth == row.nth {
						stop()
						return fault.New(class, "test/cancelled", "cancelled", "")
					}
					return nil
				}
				_, err := s.against(t, memory, adder(1)).RunOnce(ctx)
				require.ErrorIs(t, err, context.Canceled)
				require.NotEmpty(t, sealedBytes(t, memory, s.id()), row.call)
				s.fail = nil
				r, err := s.against(t, memory, adder(1)).RunOnce(t.Context())
				require.NoError(t, err)
				require.True(t, r.Completed)
			})
		}
	}
}

func TestACiphertextThatWasDamagedIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t, whole...)
		s.fail = failOn("upload 3", 1, errUnavailable)
		memory := client.NewMemory()
		_, err := s.against(t, memory, adder(1)).RunOnce(t.Context())
		require.ErrorIs(t, err, errUnavailable)
		w, err := memory.Create(s.id())
		require.NoError(t, err)
		require.NoError(t, w.Close())
		s.fail, s.log = nil, nil
		_, err = s.against(t, memory, adder(1)).RunOnce(t.Context())
		require.ErrorIs(t, err, client.ErrSealed)
		require.Equal(t, []string{"put", "remove"}, s.told(), "a tombstone")
	})
}

func TestAModelThatCannotBeFetchedIsNotBlamedOnTheCoordinator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t, whole[:2]...)
		s.fail = func(call string, _ int) error {
			if strings.HasPrefix(call, "fetch") {
				s.model = nil // nothing comes
				return errUnavailable
			}
			return nil
		}
		_, err := s.against(t, client.NewMemory(), adder(1)).RunOnce(t.Context())
		require.ErrorIs(t, err, errUnavailable)
		require.NotErrorIs(t, err, client.ErrModel)
	})
}

func TestAnAnswerIsRepeatedWhileNothingFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t, "advertise", "over")
		// A coordinator that takes answers and forgets them, until the third time.
		s.fail = func(call string, nth int) error {
			if call == "send 1" && nth == 1 {
				s.instructions = s.instructions[:1]
			}
			if call == "send 1" && nth == 3 {
				s.instructions = s.instructions[:2]
			}
			return nil
		}
		began := time.Now()
		_, err := s.against(t, client.NewMemory(), adder(1)).RunOnce(t.Context())
		require.NoError(t, err)
		require.Equal(t, 3, s.calls["send 1"])
		require.Equal(t, 45*time.Second, time.Since(began), "after 15 and 30 s")
	})
}

func TestWhatATakenOrRefusedAnswerMeans(t *testing.T) {
	for _, row := range []struct {
		class  fault.Class
		goesOn bool // the attempt goes on as if it had been taken
		kept   bool // or it is left, and can be resumed
	}{
		{class: fault.Conflict, goesOn: true},
		{class: fault.Aborted, goesOn: true},
		{class: fault.NotFound, goesOn: true},
		{class: fault.Invalid},
		{class: fault.Denied},
		{class: fault.Unavailable, kept: true},
		{class: fault.Internal, kept: true},
	} {
		for _, call := range []string{"upload 3", "send 4"} {
			t.Run(row.class.String()+" to "+call, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newScript(t, whole...)
					refusal := fault.New(row.class, "test/refusal", "refused", "")
					s.fail = func(c string, _ int) error {
						if c != call {
							return nil
						}
						if row.goesOn {
							go s.tell(len(whole)) // and the attempt ends without it
						}
						return refusal
					}
					memory := client.NewMemory()
					r, err := s.against(t, memory, adder(1)).RunOnce(t.Context())
					if row.goesOn {
						require.NoError(t, err)
						require.Equal(t, "completed", r.Reason)
						return
					}
					require.ErrorIs(t, err, refusal)
					_, _, err = memory.Open(s.id())
					require.Equal(t, row.kept, err == nil, "the ciphertext is kept")
				})
			})
		}
	}
}

func TestTheModelIsFetchedFromWhereTheConnectionBroke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t, whole...)
		s.fail = failOn("fetch 0", 1, errUnavailable)
		r, err := s.against(t, client.NewMemory(), adder(1)).RunOnce(t.Context())
		require.NoError(t, err)
		require.True(t, r.Completed)
		i := slices.IndexFunc(s.log, func(l string) bool { return strings.HasPrefix(l, "fetch") && l != "fetch 0" })
		require.GreaterOrEqual(t, i, 0, "it went on, and did not begin again")
	})
}

func TestAModelThatIsNotTheTasksIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(*script){
		"other values": func(s *script) { s.model[len(s.model)-1] ^= 1 },
		"longer":       func(s *script) { s.model = append(s.model, 0) },
		"shorter":      func(s *script) { s.model = s.model[:len(s.model)-1] },
		"garbage":      func(s *script) { clear(s.model) },
		"empty":        func(s *script) { s.model = nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScript(t, whole[:2]...)
				spoil(s)
				trainer := trainerFunc(func(context.Context, tensor.Model, secagg.Task) (client.Update, error) {
					return client.Update{}, errors.New("trained")
				})
				_, err := s.against(t, client.NewMemory(), trainer).RunOnce(t.Context())
				require.ErrorIs(t, err, client.ErrModel)
			})
		})
	}
}

func TestAnUpdateThatDoesNotFitOrATrainerThatFailsEndsTheAttempt(t *testing.T) {
	other, err := tensor.NewSchema([]tensor.Spec{{Name: "w", Shape: []int{8}}})
	require.NoError(t, err)
	for name, row := range map[string]struct {
		update client.Update
		err    error
		want   error
	}{
		"another schema":    {client.Update{Model: tensor.Zero(other)}, nil, client.ErrUpdate},
		"no model":          {client.Update{}, nil, client.ErrUpdate},
		"negative examples": {client.Update{Model: tensor.Zero(testPlan(t, 3, 2, 1).Terms().Tensors), Examples: -1}, nil, client.ErrUpdate},
		"an error":          {client.Update{}, errFault, client.ErrTrainer},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScript(t, whole...)
				trainer := trainerFunc(func(context.Context, tensor.Model, secagg.Task) (client.Update, error) { return row.update, row.err })
				_, err := s.against(t, client.NewMemory(), trainer).RunOnce(t.Context())
				require.ErrorIs(t, err, row.want)
				require.NotContains(t, s.told(), "upload 3")
			})
		})
	}
}

func TestATrainerIsAskedToEvaluateOnlyUnderPlansThatEvaluate(t *testing.T) {
	for _, asked := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newScript(t, whole...)
			task := *s.offers[0].Task
			task.Terms.Evaluate = asked
			s.offers[0].Task = &task
			e := &evaluator{err: errFault}
			r, err := s.against(t, client.NewMemory(), e).RunOnce(t.Context())
			require.NoError(t, err)
			require.True(t, r.Completed, "an evaluation that fails costs the evaluation")
			require.Equal(t, asked, e.asked)
		})
	}
}

type evaluator struct {
	adder
	asked bool
	err   error
}

func (e *evaluator) Evaluate(context.Context, tensor.Model, secagg.Task) (client.Evaluation, error) {
	e.asked = true
	return client.Evaluation{}, e.err
}

func TestTheLogSaysWhatHappensAndHoldsNoPayload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t, whole...)
		var log bytes.Buffer
		_, err := s.against(t, client.NewMemory(), adder(1), client.WithLogger(slog.New(slog.NewJSONHandler(&log, nil)))).RunOnce(t.Context())
		require.NoError(t, err)
		for _, what := range []string{"joined", "uploading", "attempt is over", `"completed":true`} {
			require.Contains(t, log.String(), what)
		}
		require.Less(t, log.Len(), 600)
		for _, body := range s.bodies {
			require.NotContains(t, log.String(), string(body))
		}
	})
}
