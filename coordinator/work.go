package coordinator

import (
	"io"
	"slices"

	"github.com/choir-fl/choir/coordinator/round"
	"github.com/choir-fl/choir/coordinator/store"
	"github.com/choir-fl/choir/secagg"
)

// run hands a task to the host. Tasks run one after another, and none while a
// checkpoint is written: each touches every piece of the accumulator.
func (e *Engine) run(t round.Task) {
	e.adds = append(e.adds, t)
	e.nextAdd()
}

func (e *Engine) nextAdd() {
	if e.adding || len(e.adds) == 0 {
		return
	}
	t := e.adds[0]
	e.adds = e.adds[1:]
	if t.Kind == round.TaskOpen {
		e.open(t)
		return
	}
	e.adding = true
	machine, acc := e.machine, e.acc
	session, _ := machine.Session()
	e.cfg.Host.Work(Work{Name: "add", Bytes: acc.Pieces().Total()}, func() func() {
		var err error
		if t.Kind == round.TaskMerge {
			err = e.merge(acc, t.Blob)
		} else {
			err = e.add(acc, partID(session.Binding.Round, session.Roster.At(t.Member).ID), t.Bucket)
		}
		return func() {
			e.mu.Lock()
			defer e.mu.Unlock()
			if e.machine != machine {
				return
			}
			e.adding = false
			if err == nil && t.Kind == round.TaskAdd {
				e.added = append(e.added, t.Member)
				e.dirty += acc.Pieces().Total()
			}
			e.fail(e.step(round.TaskDone{At: e.now(), Task: t.ID, Err: err}))
			if e.machine == machine {
				e.checkpoint()
				e.nextAdd()
			}
		}
	})
}

// checkpoint stores the sum so far and then frees the uploads that are in it. No
// upload is added meanwhile.
func (e *Engine) checkpoint() {
	if e.cfg.CheckpointBytes == 0 || e.dirty < e.cfg.CheckpointBytes || e.adding || e.machine.State() >= round.Adding {
		return
	}
	machine, acc, members := e.machine, e.acc, slices.Clone(e.added)
	e.adding = true
	e.cfg.Host.Work(Work{Name: "checkpoint", Bytes: e.bytes}, func() func() {
		blob, _, err := e.writeBlob(acc.Snapshot)
		return func() {
			e.mu.Lock()
			defer e.mu.Unlock()
			if e.machine != machine || e.fail(err) {
				return
			}
			e.adding = false
			old, had := machine.Checkpointed()
			// A checkpoint that comes too late to matter is refused by the machine.
			if err := e.step(round.Checkpoint{At: e.now(), Blob: blob, Members: members}); err != nil {
				if e.failed == nil && (len(had) == 0 || old != blob) {
					e.fail(e.cfg.Store.Blobs.Delete(store.Digest(blob)))
				}
			} else {
				e.dirty = 0
				e.fail(e.free(members[len(had):]))
				if len(had) > 0 && old != blob {
					e.fail(e.cfg.Store.Blobs.Delete(store.Digest(old)))
				}
			}
			if e.machine == machine {
				e.nextAdd()
			}
		}
	})
}

// free deletes the uploads of members that a durable checkpoint holds.
func (e *Engine) free(members []int) error {
	session, _ := e.machine.Session()
	for _, i := range members {
		if err := e.cfg.Store.Spool.Delete(partID(e.set.ID, session.Roster.At(i).ID)); err != nil {
			return err
		}
	}
	return nil
}

// add adds a verified upload to its bucket.
func (e *Engine) add(acc secagg.Accumulator, part string, bucket int) error {
	r, err := e.cfg.Store.Spool.Open(part)
	if err != nil {
		return err
	}
	defer r.Close()
	return eachPiece(acc.Pieces(), r, func(i int, p []byte) error { return acc.Add(bucket, i, p) })
}

func (e *Engine) merge(acc secagg.Accumulator, blob secagg.Digest) error {
	return e.readBlob(blob, acc.Merge)
}

// readBlob gives read the bytes of a blob, after they were found to be those it was
// stored with.
func (e *Engine) readBlob(digest secagg.Digest, read func(io.Reader) error) error {
	if err := store.Verify(e.cfg.Store.Blobs, store.Digest(digest)); err != nil {
		return err
	}
	r, err := e.cfg.Store.Blobs.Open(store.Digest(digest))
	if err != nil {
		return err
	}
	defer r.Close()
	return read(r)
}

// eachPiece reads what of an upload is added, piece by piece.
func eachPiece(ps secagg.Pieces, r io.Reader, do func(i int, p []byte) error) error {
	buf := make([]byte, ps.Size)
	for i := range ps.Count {
		p := buf[:ps.Len(i)]
		if _, err := io.ReadFull(r, p); err != nil {
			return secagg.ErrUpload.At("piece %d", i).Because(err)
		}
		if err := do(i, p); err != nil {
			return err
		}
	}
	return nil
}

// writeBlob stores what write produces.
func (e *Engine) writeBlob(write func(io.Writer) error) (secagg.Digest, int64, error) {
	w, err := e.cfg.Store.Blobs.Create()
	if err != nil {
		return secagg.Digest{}, 0, err
	}
	if err := write(w); err != nil {
		_ = w.Discard() // the error of write says more
		return secagg.Digest{}, 0, err
	}
	d, size, err := w.Commit()
	return secagg.Digest(d), size, err
}

// sweep deletes the blobs that nothing leads to: leftovers of a crash, or of work
// that outlasted its attempt.
func (e *Engine) sweep() error {
	keep := map[secagg.Digest]bool{}
	for _, d := range e.head.blobs() {
		keep[d] = true
	}
	if e.machine != nil {
		blob, _ := e.machine.Checkpointed()
		keep[blob] = true
	}
	blobs, err := e.cfg.Store.Blobs.List()
	if err != nil {
		return err
	}
	for _, d := range blobs {
		if !keep[secagg.Digest(d)] {
			if err := e.cfg.Store.Blobs.Delete(d); err != nil {
				return err
			}
		}
	}
	return nil
}
