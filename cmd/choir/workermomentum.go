package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
)

// errMomentum is a mean of earlier updates that cannot be gone on with.
var errMomentum = fault.New(fault.Refused, "choir/worker-momentum", "the mean of this client's updates in the job cannot be gone on with",
	"a run that begins anew needs a new job name; removing the file forgets the updates of that job")

// workerMomentum keeps the mean m of a client's updates in a job (plan key
// training.worker_momentum): a file of each job in the client's state directory, sealed
// with AES-256-GCM under a key that is derived from the directory's own. It tells as much
// of the data as the updates themselves, and protects itself as the directory does: see
// package client/filestate.
type workerMomentum struct{ state string }

// means is m before the latest round that was trained in, and after it.
type means struct {
	round         uint32
	before, after []float32
}

// step returns m = beta m + (1-beta) update of the task's round, with m = 0 before the
// first one, once it is durable. Another attempt at the round starts from the same m as
// the first did. A round before the latest, or another size of model, is errMomentum.
//
// An update that is not finite is returned as it is, and changes nothing: it counts for
// nothing in the round, and a mean with it would count for nothing in all that follow.
func (w workerMomentum) step(task secagg.Task, update []float32) ([]float32, error) {
	if slices.ContainsFunc(update, func(v float32) bool { return math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) }) {
		return update, nil
	}
	name, beta, round := "momentum-"+task.Round.Job, task.Terms.Training.WorkerMomentum, task.Round.Round
	box, err := w.box()
	if err != nil {
		return nil, err
	}
	known, err := w.load(box, name)
	switch {
	case err != nil:
		return nil, err
	case known.after == nil: // the first round
		known = means{round, make([]float32, len(update)), make([]float32, len(update))}
	case len(known.after) != len(update) || round < known.round:
		return nil, errMomentum.At("%s: round %d of %d values, and round %d of %d before", filepath.Join(w.state, name), round, len(update), known.round, len(known.after))
	}
	if round > known.round {
		known = means{round, known.after, make([]float32, len(update))}
	}
	for i, u := range update {
		known.after[i] = float32(float64(beta*float64(known.before[i])) + float64((1-beta)*float64(u)))
	}
	return known.after, w.store(box, name, known)
}

// box opens and seals the files.
func (w workerMomentum) box() (cipher.AEAD, error) {
	file := filepath.Join(w.state, "key")
	secret, err := readPrivate(file)
	if err != nil {
		return nil, errMomentum.At("%s", file).Because(err)
	}
	defer clear(secret)
	key, err := hkdf.Key(sha256.New, secret, nil, "choir worker momentum/1", 32)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func (w workerMomentum) load(box cipher.AEAD, name string) (means, error) {
	file := filepath.Join(w.state, name)
	sealed, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return means{}, nil
	}
	if err != nil {
		return means{}, errMomentum.At("%s", file).Because(err)
	}
	b, err := box.Open(nil, nil, sealed, []byte(name))
	if err != nil || len(b) < 4 || len(b)%8 != 4 {
		return means{}, errMomentum.At("%s", file).Because(errors.New("it is damaged, or of another state directory"))
	}
	m := means{round: binary.LittleEndian.Uint32(b)}
	values := make([]float32, (len(b)-4)/4)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4+4*i:]))
	}
	m.before, m.after = values[:len(values)/2], values[len(values)/2:]
	return m, nil
}

// store replaces the file, whole and durable or not at all.
func (w workerMomentum) store(box cipher.AEAD, name string, m means) error {
	b := binary.LittleEndian.AppendUint32(make([]byte, 0, 4+8*len(m.after)), m.round)
	for _, values := range [][]float32{m.before, m.after} {
		for _, v := range values {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
	}
	sealed := box.Seal(nil, nil, b, []byte(name))
	clear(b)
	file := filepath.Join(w.state, name)
	draft, err := os.OpenFile(file+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err == nil {
		_, err = draft.Write(sealed)
		err = errors.Join(err, draft.Sync(), draft.Close())
	}
	if err == nil {
		err = os.Rename(draft.Name(), file)
	}
	if err == nil {
		err = syncDir(w.state)
	}
	if err != nil {
		return errMomentum.At("%s", file).Because(err)
	}
	return nil
}
