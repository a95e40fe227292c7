package sim

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"time"

	"github.com/choir-fl/choir/client"
	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/fault"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
	"github.com/choir-fl/choir/tensor"
)

// uploadSegments is the number of events that an upload takes.
const uploadSegments = 4

// device is one virtual client: the app's participant on a modelled machine
// behind a modelled network. Its fields belong to the event loop; work that runs
// on a worker touches the participant only while busy is set.
type device struct {
	sim    *simulation
	index  int
	id     secagg.PartyID
	policy client.Policy
	rng    *rand.Rand
	slow   float64 // this device's factor on training time

	p     *client.Participant
	life  int // counts crashes and attempts; events of an earlier life are void
	round secagg.RoundID
	after uint32 // step of the latest envelope taken
	busy  bool
	queue []func()
	drop  Point // where it vanishes in this attempt; 0 for nowhere
	frame *client.Message
	cut   time.Time // the network is partitioned until then
	up    int64     // bytes sent and received in this attempt
	down  int64

	// What survives a crash.
	record []byte
	sealed []byte
}

// do runs one operation on the participant; operations never overlap.
func (d *device) do(cost time.Duration, work func(), then func()) {
	if d.busy {
		d.queue = append(d.queue, func() { d.do(cost, work, then) })
		return
	}
	d.busy = true
	life := d.life
	d.sim.world.compute(cost, work, func() {
		if d.life != life {
			return
		}
		d.busy = false
		then()
		if len(d.queue) > 0 && !d.busy && d.life == life {
			next := d.queue[0]
			d.queue = d.queue[1:]
			next()
		}
	})
}

// later schedules an event of this device's present life.
func (d *device) later(t time.Duration, do func()) {
	life := d.life
	d.sim.world.after(t, func() {
		if d.life == life {
			do()
		}
	})
}

func (d *device) delay() time.Duration {
	return stretch(d.rng, d.sim.network.Latency, d.sim.network.Spread)
}

// reach calls the coordinator over the network, again and again until it was
// reached. A lost message, a partitioned network and a coordinator that is down
// look the same.
func (d *device) reach(call func(e *coordinator.Engine)) {
	n := d.sim.network
	t := d.delay()
	if d.rng.Float64() < n.Loss || d.sim.world.now.Before(d.cut) {
		d.later(n.Retry, func() { d.reach(call) })
		return
	}
	if d.rng.Float64() < n.Duplicate {
		d.later(t+d.delay()*10, func() {
			if e := d.sim.engine; e != nil {
				call(e)
			}
		})
	}
	d.later(t, func() {
		if e := d.sim.engine; e != nil {
			call(e)
			return
		}
		d.later(n.Retry, func() { d.reach(call) })
	})
}

// checkIn asks for work in an attempt, and again while it is still busy with an
// earlier one.
func (d *device) checkIn(id secagg.RoundID) {
	if d.sim.attempt.id != id {
		return
	}
	if d.p != nil {
		d.sim.world.after(d.sim.network.Retry, func() { d.checkIn(id) })
		return
	}
	d.reach(func(e *coordinator.Engine) {
		offer, err := e.CheckIn(d.id, coordinator.Conditions{Charging: true, Unmetered: true, Idle: true})
		if err != nil || offer.Task == nil || d.p != nil {
			return
		}
		task, err := secagg.DecodeTask(offer.Task.Encode()) // as it would arrive
		if err != nil {
			d.sim.violate("client %s cannot read its task: %v", d.id, err)
			return
		}
		d.later(d.delay(), func() { d.accept(task) })
	})
}

func (d *device) accept(task secagg.Task) {
	if d.p != nil {
		return
	}
	p, err := client.Accept(d.policy, task, d.sim.coins("participant "+string(d.id)+" "+task.Round.String()))
	if errors.Is(err, client.ErrOften) { // it counts attempts that the coordinator does not
		return
	}
	if err == nil {
		d.policy.Account, err = d.policy.Account.See(task)
	}
	if err != nil {
		d.sim.violate("client %s refuses its task: %v", d.id, err)
		return
	}
	d.p, d.round, d.after, d.up, d.down = p, task.Round, 0, 0, 0
	d.drop = d.sim.dropPoint(d.id)
	d.send(p.Join())
}

// send delivers a message and repeats it until it was taken.
func (d *device) send(m client.Message) {
	d.up += int64(len(m.Body))
	d.reach(func(e *coordinator.Engine) {
		err := e.Message(d.id, m.Round, m.Step, m.Body)
		switch {
		case err == nil, fault.ClassOf(err) == fault.Conflict: // taken before
			if m.Step == 0 {
				d.poll()
			}
		case fault.ClassOf(err) == fault.Aborted, errors.Is(err, errNoPlace):
			d.later(d.delay(), d.forget)
		default:
			d.sim.refused(d.id, err)
			d.later(d.delay(), d.forget)
		}
	})
}

// poll asks for the latest envelope.
func (d *device) poll() {
	if d.p == nil {
		return
	}
	round := d.round
	d.reach(func(e *coordinator.Engine) {
		env, ok := e.Envelope(d.id, round, d.after)
		if !ok {
			return
		}
		env, size := asItArrives(env)
		d.down += size
		d.later(d.delay()+d.sim.network.transfer(size), func() { d.receive(env) })
	})
}

// sharedRoster is from where on the roster in an envelope is not copied: ten thousand
// clients that are sent ten thousand names at once would not fit into memory.
const sharedRoster = 1 << 16

// asItArrives passes an envelope through its encoding, and returns its length there.
func asItArrives(env secagg.Envelope) (secagg.Envelope, int64) {
	roster := env.Roster
	if len(roster) >= sharedRoster {
		env.Roster = nil
	}
	b := env.Encode()
	out, err := secagg.DecodeEnvelope(b)
	if err != nil {
		return secagg.Envelope{}, int64(len(b)) // nobody takes it
	}
	if env.Roster == nil && roster != nil {
		out.Roster = roster
		return out, int64(len(b) + len(roster))
	}
	return out, int64(len(b))
}

func (d *device) receive(env secagg.Envelope) {
	if d.p == nil || env.Round != d.round || env.Step < d.after {
		return
	}
	if !env.Over && d.drop > 0 && env.Step >= uint32(d.drop) {
		d.vanish()
		return
	}
	d.after = env.Step
	p := d.p
	var fx client.Effects
	var err error
	d.do(d.sim.devices.Crypto, func() { fx, err = p.Envelope(env) }, func() { d.apply(fx, err) })
}

func (d *device) apply(fx client.Effects, err error) {
	if err != nil {
		d.sim.refused(d.id, err)
		d.forget()
		return
	}
	if fx.Over {
		d.forget()
		return
	}
	if fx.Record != nil && d.sim.cfg.Scratch == "" { // each holds the roster
		d.record = fx.Record
	}
	if fx.Train {
		d.train()
	}
	if fx.Seal {
		d.seal()
	}
	if fx.Upload {
		if d.policy.Account, err = d.p.Charge(d.policy.Account); err != nil {
			d.sim.violate("client %s cannot charge its upload: %v", d.id, err)
			return
		}
		d.frame = fx.Send
		d.upload()
		return
	}
	if fx.Send != nil {
		d.send(*fx.Send)
	}
}

// train fetches the model and trains on this device's data.
func (d *device) train() {
	p, s, task := d.p, d.sim, d.p.Task()
	e := s.engine
	if e == nil {
		d.poll() // the coordinator is down; it says what is next
		return
	}
	size := task.ModelSize
	if task.Centre != (secagg.Digest{}) {
		size += tensor.Size(task.Terms.Tensors)
	}
	d.down += size
	cost := time.Duration(float64(s.devices.TrainPerExample)*float64(s.clients[d.index].Len())*float64(max(task.Terms.Training.Epochs, 1))*d.slow) +
		s.network.transfer(size)
	var global tensor.Model
	var update client.Update
	var err, gone error
	life, train := d.life, s.training(d, task)
	s.world.compute(cost, func() {
		if task.Centre != (secagg.Digest{}) {
			if gone = fetched(e, task.Centre, func(r io.Reader) { err = p.Centre(r) }); gone != nil || err != nil {
				return
			}
		}
		if gone = fetched(e, task.Model, func(r io.Reader) { global, err = p.Model(r) }); gone == nil && err == nil {
			update, err = train(global)
		}
	}, func() {
		if d.life != life {
			return
		}
		if gone != nil {
			d.poll() // the round is over
			return
		}
		if err != nil {
			s.violate("client %s cannot train: %v", d.id, err)
			return
		}
		var fx client.Effects
		d.do(0, func() { fx, err = p.Trained(global, update) }, func() { d.apply(fx, err) })
	})
}

// fetched reads a blob of the coordinator's; the error says that it is gone.
func fetched(e *coordinator.Engine, digest secagg.Digest, read func(io.Reader)) error {
	r, err := e.Model(digest)
	if err != nil {
		return err
	}
	defer r.Close()
	read(r)
	return nil
}

func (d *device) seal() {
	if d.drop == BeforeUpload || d.sim.steersAway(d) {
		d.vanish()
		return
	}
	p := d.p
	var out bytes.Buffer
	var fx client.Effects
	var err error
	var spent time.Duration
	d.do(d.sim.devices.Crypto, func() {
		begin := d.sim.stopwatch()
		fx, err = p.Seal(&out)
		spent = d.sim.stopwatch() - begin
	}, func() {
		d.sim.sealed(spent)
		d.sealed = out.Bytes()
		d.apply(fx, err)
	})
}

// upload sends the sealed bytes from where the coordinator has them.
func (d *device) upload() {
	m := *d.frame
	size := int64(len(d.sealed))
	d.reach(func(e *coordinator.Engine) {
		offset, err := e.UploadBegin(d.id, m.Round, m.Step, size)
		if err != nil {
			d.uploadFailed(err)
			return
		}
		d.segment(m, offset, size)
	})
}

func (d *device) segment(m client.Message, offset, size int64) {
	part := (size + uploadSegments - 1) / uploadSegments
	end := min(offset+part, size)
	d.later(d.sim.network.transfer(end-offset), func() {
		d.reach(func(e *coordinator.Engine) {
			for lo := offset; lo < end; lo += maxChunk {
				if err := e.UploadChunk(d.id, m.Round, lo, d.sealed[lo:min(lo+maxChunk, end)]); err != nil {
					d.uploadFailed(err)
					return
				}
			}
			d.up += end - offset
			switch {
			case d.drop == DuringUpload && end >= size/2:
				d.vanish()
			case end < size:
				d.segment(m, end, size)
			default:
				e.UploadDone(d.id, m.Round, m.Step, m.Body, func(err error) { d.uploaded(m, err) })
			}
		})
	})
}

func (d *device) uploaded(m client.Message, err error) {
	life := d.life
	d.sim.world.after(d.delay(), func() {
		if d.life != life {
			return
		}
		if err != nil {
			d.uploadFailed(err)
			return
		}
		d.up += int64(len(m.Body))
		d.sim.acknowledged(m.Round, d.id)
		if d.sim.cfg.Scratch != "" {
			d.sealed = nil
		}
		if d.drop == AfterUpload {
			d.vanish()
		}
	})
}

// uploadFailed tries again, unless the attempt is over.
func (d *device) uploadFailed(err error) {
	switch fault.ClassOf(err) {
	case fault.Aborted:
		d.later(d.delay(), d.forget)
	case fault.Conflict:
		d.poll() // too late for this phase: the coordinator says what is next
	default:
		d.later(d.sim.network.Retry, d.upload)
	}
}

// vanish drops out of the attempt without a word.
func (d *device) vanish() {
	d.sim.dropped(d.id)
	d.forget()
}

// forget ends the attempt on this device.
func (d *device) forget() {
	if d.p != nil {
		d.sim.traffic(d.round, d.up, d.down)
	}
	d.crash()
	d.record, d.sealed = nil, nil
}

// crash loses what is not durable.
func (d *device) crash() {
	d.life++
	d.p, d.busy, d.queue, d.frame = nil, false, nil, nil
}

// restart comes back after a crash with what was durable.
func (d *device) restart() {
	if d.record == nil {
		return
	}
	p, fx, err := client.Resume(d.policy, d.record)
	if err != nil { // a tombstone: the attempt goes on without this client
		d.record, d.sealed = nil, nil
		if !errors.Is(err, secagg.ErrTombstone) {
			d.sim.violate("client %s cannot resume: %v", d.id, err)
		}
		return
	}
	d.p, d.round, d.after = p, p.Task().Round, 0
	d.apply(fx, nil)
	d.poll()
}

// maxChunk is the most that one message of an upload carries.
const maxChunk = 256 << 10

// stream makes a participant's coins.
func (s *simulation) coins(label string) *field.Stream {
	return field.NewStream(field.Derive(s.root, label))
}
