package coordinator

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/choir-fl/choir/coordinator/store"
)

// historySegment is the journal of the attempts that ended, one JSON record each.
const historySegment = "history"

// Ended is a line of a run's history: one attempt that ended.
type Ended struct {
	Round      uint32      `json:"round"`
	Attempt    uint32      `json:"attempt"`
	Began      time.Time   `json:"began"`
	Ended      time.Time   `json:"ended"`
	Invited    int         `json:"invited"`
	Admitted   int         `json:"admitted"`
	Survivors  int         `json:"survivors"`
	Buckets    int         `json:"buckets"`
	Short      int         `json:"buckets_short,omitempty"`   // left out: too few clients
	Spoiled    int         `json:"buckets_spoiled,omitempty"` // left out: no client's vector
	Culprits   int         `json:"culprits,omitempty"`        // how many
	Upload     int64       `json:"upload_bytes"`              // of one client
	Released   bool        `json:"released"`
	Reason     string      `json:"reason,omitempty"`
	Model      string      `json:"model"`
	UpdateNorm float64     `json:"update_norm"`
	Evaluation *Evaluation `json:"evaluation,omitempty"`
	ClipNorm   float64     `json:"clip_norm,omitempty"`
	Clipped    *float64    `json:"clipped,omitempty"`
	// Of the figures at most 64 lines are kept, of those that stand out most.
	Figures     *Figures     `json:"figures,omitempty"`
	Holdout     *Measurement `json:"holdout,omitempty"`
	Trend       *Trend       `json:"holdout_trend,omitempty"`
	RolledBack  bool         `json:"rolled_back,omitempty"`
	Alerts      []Alert      `json:"alerts,omitempty"`
	Quarantined int          `json:"quarantined,omitempty"`
	Pass        int          `json:"pass,omitempty"` // of the passes of rule rfa
	Spent                    // absent without noise
}

// line is the attempt's line in the run's history.
func (r Report) line() (string, error) {
	b, err := json.Marshal(Ended{Round: r.ID.Round, Attempt: r.ID.Attempt, Began: r.Began, Ended: r.Ended, Invited: r.Invited,
		Admitted: r.Admitted, Survivors: r.Survivors, Buckets: r.Buckets, Short: r.Short, Spoiled: r.Spoiled, Culprits: len(r.Culprits), Upload: r.UploadBytes, Released: r.Released, Reason: r.Reason, Model: r.Model.String(),
		UpdateNorm: r.UpdateNorm, Evaluation: r.Evaluation, ClipNorm: r.ClipNorm, Spent: r.Spent, Figures: r.Figures.Bounded(), Holdout: r.Holdout,
		Clipped: r.Clipped, Trend: r.Trend, RolledBack: r.RolledBack, Alerts: r.Alerts, Quarantined: r.Quarantined, Pass: r.Pass})
	return string(b), err
}

// remember makes up for a crash between the swap of the head, which holds the line
// of the latest attempt that ended, and the line's arrival in the history.
func (e *Engine) remember() error {
	var last string
	err := e.cfg.Store.Journal.Read(historySegment, func(record []byte) error {
		last = string(record)
		return nil
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if e.head.ended != "" {
		var latest Ended
		if err := json.Unmarshal([]byte(e.head.ended), &latest); err != nil {
			return ErrCarried.At("the latest attempt").Because(err)
		}
		e.alerted = latest.Alerts
	}
	if e.head.ended == last {
		return nil
	}
	return e.cfg.Store.Journal.Append(historySegment, []byte(e.head.ended))
}

// History returns the attempts that ended, oldest first.
func (e *Engine) History() ([]Ended, error) {
	var out []Ended
	err := e.cfg.Store.Journal.Read(historySegment, func(record []byte) error {
		var h Ended
		if err := json.Unmarshal(record, &h); err != nil {
			return err
		}
		out = append(out, h)
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return out, err
}
