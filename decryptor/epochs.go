package decryptor

import (
	"context"
	"crypto/rand"
	"io"
	"sync"
	"time"

	"github.com/choir-fl/choir/secagg"
)

// kept is how many epochs a member has the seeds of: the newest and the one before.
const kept = 2

// keyring holds the seeds of the epochs as they are in the state.
type keyring struct {
	state State
	life  time.Duration
	now   func() time.Time
	coins io.Reader

	mu     sync.Mutex // owns the fields below
	epochs []secagg.EpochSeed
	began  time.Time     // the newest epoch
	turned chan struct{} // closed when the next one begins
}

// openKeyring reads the epochs from the state and begins the first if there is none.
func openKeyring(s State, life time.Duration, now func() time.Time) (*keyring, error) {
	k := &keyring{state: s, life: life, now: now, coins: rand.Reader, turned: make(chan struct{})}
	if err := k.load(); err != nil {
		return nil, err
	}
	return k, k.turn()
}

func (k *keyring) load() error {
	b, err := k.state.Load(Epochs)
	if err != nil || b == nil {
		return err
	}
	defer clear(b)
	k.epochs, k.began, err = decodeEpochs(b)
	return err
}

// seeds returns a copy of the seeds, newest last.
func (k *keyring) seeds() []secagg.EpochSeed {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]secagg.EpochSeed(nil), k.epochs...)
}

// due says how long the newest epoch goes on. A clock that was set back makes it last
// longer, never shorter.
func (k *keyring) due() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.life - k.now().Sub(k.began)
}

// turn begins a new epoch if the newest is over, and erases the one before the
// newest. The new seed is durable, and the old one gone, before anybody gets to see it.
func (k *keyring) turn() error {
	if len(k.epochs) > 0 && k.due() > 0 {
		return nil
	}
	next := secagg.EpochSeed{Number: 1}
	if n := len(k.epochs); n > 0 {
		next.Number = k.epochs[n-1].Number + 1
	}
	if _, err := io.ReadFull(k.coins, next.Seed[:]); err != nil {
		return err
	}
	began := k.now()
	epochs := append(k.seeds(), next)
	epochs = epochs[max(0, len(epochs)-kept):]
	b := encodeEpochs(epochs, began)
	defer clear(b)
	if err := k.state.Save(Epochs, b); err != nil {
		return err // the old ones go on; a new number one is drawn anew and was never seen
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.epochs)
	k.epochs, k.began = epochs, began
	close(k.turned)
	k.turned = make(chan struct{})
	return nil
}

// watch reports whether a seed of some epochs is still there, and returns what is
// closed when the next epoch begins.
func (k *keyring) watch(epochs []secagg.EpochSeed) (kept bool, turned <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range epochs {
		kept = kept || s.Number >= k.epochs[0].Number
	}
	return kept, k.turned
}

// retryTurn follows a turn that failed.
const retryTurn = time.Minute

// keepTurning begins epochs as they are due until ctx ends.
func (d *Decryptor) keepTurning(ctx context.Context) {
	for {
		wait := max(d.keys.due(), 0)
		if wait == 0 {
			if err := d.keys.turn(); err != nil {
				d.log.Error("the epoch's key could not be replaced", "error", err)
				wait = retryTurn
			} else {
				d.log.Info("epoch began", "epoch", d.keys.newest())
				continue
			}
		}
		if pause(ctx, wait) != nil {
			return
		}
	}
}

func (k *keyring) newest() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.epochs[len(k.epochs)-1].Number
}

const epochsVersion = 1

func encodeEpochs(epochs []secagg.EpochSeed, began time.Time) []byte {
	items := make([][]byte, len(epochs))
	for i, s := range epochs {
		var e secagg.Encoder
		e.Uint(1, s.Number)
		e.Bytes(2, s.Seed[:])
		items[i] = e.Encoded()
	}
	var e secagg.Encoder
	e.Uint(1, epochsVersion)
	e.Uint(2, uint64(max(began.Unix(), 0)))
	e.List(3, items)
	return e.Encoded()
}

func decodeEpochs(b []byte) (epochs []secagg.EpochSeed, began time.Time, err error) {
	d := secagg.NewDecoder(b)
	if v := d.Uint(1); v != epochsVersion {
		return nil, began, ErrRecord.At("epochs of version %d", v)
	}
	began = time.Unix(d.Size(2, 1<<40), 0)
	items := d.List(3, kept)
	err = d.Close()
	if err == nil && len(items) == 0 {
		err = secagg.ErrEncoding.At("no epoch")
	}
	for _, it := range items {
		n := secagg.NewDecoder(it)
		s := secagg.EpochSeed{Number: n.Uint(1)}
		seed := n.Bytes(2)
		if err == nil {
			err = n.Close()
		}
		if err == nil && (len(seed) != len(s.Seed) || s.Number == 0 || len(epochs) > 0 && s.Number != epochs[len(epochs)-1].Number+1) {
			err = secagg.ErrEncoding.At("epoch %d", s.Number)
		}
		copy(s.Seed[:], seed)
		epochs = append(epochs, s)
	}
	if err != nil {
		return nil, time.Time{}, ErrRecord.At("epochs").Because(err)
	}
	return epochs, began, nil
}
