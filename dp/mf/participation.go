package mf

// MaxSteps is the largest number of steps of a run.
const MaxSteps = 1 << 17

// Participation says in which steps one client may take part. Steps are counted from 0. A
// step is one release, or one that was possible (see the package comment), and there is at
// least one for every round, so what a registry promises about rounds holds for steps.
type Participation struct {
	// Steps is how many steps the run has, 1 to MaxSteps.
	Steps int
	// Participations is the most steps one client takes part in; 0: no cap but Separation.
	Participations int
	// Separation is the least difference between the numbers of two steps that one client
	// takes part in; at least 1. It is our one convention: a difference of 314 leaves 313
	// steps between, which is what TensorFlow Privacy calls a separation of 313.
	Separation int
}

// check returns the pattern in its one form: no more participations than fit, a separation
// of Steps where there is only one.
func (p Participation) check() (Participation, error) {
	if p.Steps < 1 || p.Steps > MaxSteps {
		return p, ErrParticipation.At("%d steps, not 1 to %d", p.Steps, MaxSteps)
	}
	if p.Participations < 0 {
		return p, ErrParticipation.At("%d participations", p.Participations)
	}
	if p.Separation < 1 {
		return p, ErrParticipation.At("separation %d", p.Separation)
	}
	fit := (p.Steps-1)/p.Separation + 1
	if p.Participations == 0 || p.Participations > fit {
		p.Participations = fit
	}
	if p.Participations == 1 {
		p.Separation = p.Steps
	}
	return p, nil
}
