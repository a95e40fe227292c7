package round

// State is where an attempt stands.
type State uint8

// The states of an attempt; Meaning describes each.
const (
	Admitting State = iota + 1
	Exchanging
	Uploading
	Unmasking
	Adding
	Opening
	Releasing
	Released
	Failed
)

// states says what each state means to an operator.
var states = map[State]struct{ name, meaning string }{
	Admitting:  {"admitting", "clients that were invited are joining, and the committee announces itself; no key of a client exists yet"},
	Exchanging: {"exchanging", "clients or committee members exchange keys or agree on survivors; clients that know the model train meanwhile"},
	Uploading:  {"uploading", "clients train and upload; each complete upload is verified and added to its sum"},
	Unmasking:  {"unmasking", "survivors or committee members reveal what unmasks the sums, and nothing else"},
	Adding:     {"adding", "all answers are in; the last verified uploads are being added"},
	Opening:    {"opening", "the sum is being unmasked, checked and applied to the model"},
	Releasing:  {"releasing", "the new model is stored and is becoming the head of the run"},
	Released:   {"released", "the new model is the head of the run; this attempt is over"},
	Failed:     {"failed", "this attempt is over without a release; whatever it reserved stays charged once unmasking began"},
}

// String names the state.
func (s State) String() string { return states[s].name }

// Meaning describes the state in a sentence for an operator.
func (s State) Meaning() string { return states[s].meaning }

// Over reports whether nothing can happen any more.
func (s State) Over() bool { return s == Released || s == Failed }

// moves is the table of all legal moves: for each state the kinds of event it
// takes, and the states it may lead to.
var moves = map[State]struct {
	events []kind
	next   []State
}{
	Admitting:  {[]kind{kindTick, kindCheckIn, kindAnnounce, kindLeave, kindAbort}, []State{Exchanging, Uploading, Failed}},
	Exchanging: {[]kind{kindTick, kindMessage, kindLeave, kindTaskDone, kindCheckpoint, kindAbort}, []State{Exchanging, Uploading, Unmasking, Adding, Opening, Failed}},
	Uploading:  {[]kind{kindTick, kindUploaded, kindMessage, kindLeave, kindTaskDone, kindCheckpoint, kindAbort}, []State{Exchanging, Unmasking, Adding, Opening, Failed}},
	Unmasking:  {[]kind{kindTick, kindMessage, kindLeave, kindTaskDone, kindCheckpoint, kindAbort}, []State{Adding, Opening, Failed}},
	Adding:     {[]kind{kindTick, kindLeave, kindTaskDone, kindCheckpoint, kindAbort}, []State{Opening, Failed}},
	Opening:    {[]kind{kindTick, kindLeave, kindTaskDone, kindAbort}, []State{Releasing, Failed}},
	Releasing:  {[]kind{kindTick, kindLeave, kindCommitted}, []State{Released}},
	Released:   {[]kind{kindTick, kindLeave, kindTaskDone}, nil},
	Failed:     {[]kind{kindTick, kindLeave, kindTaskDone}, nil},
}
