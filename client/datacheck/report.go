package datacheck

// Report is what checks found in a table: counts, and no example's contents. It is for
// the device's owner and stays on the device.
type Report struct {
	Examples int       `json:"examples"` // in the table
	Kept     int       `json:"kept"`     // of them, after repairs
	Classes  []int     `json:"classes"`  // kept, per class; empty if the rules know no classes
	Checks   []Finding `json:"checks"`   // those that are not off, in their order
	Balance  *Shares   `json:"balance,omitempty"`
	Losses   *Spread   `json:"losses,omitempty"`
}

// Finding is what one check found.
type Finding struct {
	Check    string    `json:"check"`
	Mode     Mode      `json:"mode"`
	Failed   bool      `json:"failed"`             // it found more than is tolerated: a reason to refuse, where the mode is that
	Examples int       `json:"examples"`           // found
	LeftOut  int       `json:"left_out"`           // of them
	Clamped  int       `json:"clamped"`            // values, in examples that this check did not leave out
	Classes  []int     `json:"classes"`            // found, per class
	Unknown  int       `json:"unknown"`            // found, with a label that is no known class
	Features []Feature `json:"features,omitempty"` // that something was found in, in their order
}

// Feature says in how many examples something was found in a feature.
type Feature struct {
	Feature  int `json:"feature"` // from 0
	Examples int `json:"examples"`
}

// Shares is how the kept examples spread over the classes.
type Shares struct {
	Largest float64 `json:"largest"` // share of the largest class
	Present int     `json:"present"` // classes with examples
	Missing int     `json:"missing"` // classes without
	Small   int     `json:"small"`   // classes with some, and fewer than the rules ask for
}

// Spread describes the losses that outliers were measured by.
type Spread struct {
	Median    float64 `json:"median"`
	MAD       float64 `json:"mad"`       // median absolute deviation from the median
	Threshold float64 `json:"threshold"` // a loss above is an outlier; see CheckLosses for a MAD of 0
}

// count adds an example that was found.
func (f *Finding) count(label int) {
	f.Examples++
	if label >= 0 && label < len(f.Classes) {
		f.Classes[label]++
	} else {
		f.Unknown++
	}
}

// judge decides whether the check failed: more than a share of the examples were found.
func (f *Finding) judge(tolerate float64, examples int) {
	f.Failed = float64(f.Examples)/float64(examples) > tolerate
}
