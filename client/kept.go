package client

import (
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/tensor"
)

// kept is the latest update that a client trained under terms that ask for it in several
// passes (secagg.Weiszfeld): the same in each, so that it is trained once. It is in memory
// alone. Not safe for concurrent use.
type kept struct {
	model  secagg.Digest // zero: there is none
	terms  secagg.Terms
	global tensor.Model
	update Update
}

// of returns the update for a task, if it is the one that is kept, and the model that it was
// trained from. Another task makes an end of what is kept.
func (k *kept) of(task secagg.Task) (tensor.Model, Update, bool) {
	if !k.serves(task) {
		k.erase()
		return tensor.Model{}, Update{}, false
	}
	return k.global.Clone(), k.update, true // what a participant is given it erases
}

// serves reports whether a task asks for what is kept.
func (k *kept) serves(task secagg.Task) bool {
	return k.model != (secagg.Digest{}) && task.Terms.Weiszfeld != (secagg.Weiszfeld{}) && task.Model == k.model &&
		task.Terms.Job == k.terms.Job && task.Terms.Training == k.terms.Training && task.Terms.Evaluate == k.terms.Evaluate
}

// keep keeps an update, if the task may ask for it again.
func (k *kept) keep(task secagg.Task, global tensor.Model, u Update) {
	if task.Terms.Weiszfeld.Passes < 2 || u.Examples < 0 || !u.Model.Schema().Equal(global.Schema()) {
		return // what Participant.Trained refuses is trained again
	}
	*k = kept{model: task.Model, terms: task.Terms, global: global.Clone(), update: u}
	k.update.Model = u.Model.Clone() // the trainer's own is not ours
}

// erase destroys what is kept.
func (k *kept) erase() {
	clear(k.update.Model.Values())
	*k = kept{}
}
