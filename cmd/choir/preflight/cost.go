package preflight

import (
	"github.com/choir-fl/choir/coordinator/optimizer"
	"github.com/choir-fl/choir/coordinator/plan"
)

// UnitCosts are what one core of a small server (AMD EPYC, Go 1.26) takes; a phone
// takes several times as much. `choir bench` measures the machine at hand.
type UnitCosts struct {
	MaskNanos    float64 `json:"mask_ns"`     // per word and mask
	EncodeNanos  float64 `json:"encode_ns"`   // per coordinate: clip, round, clamp
	PackNanos    float64 `json:"pack_ns"`     // per word: pack and digest
	AddNanos     float64 `json:"add_ns"`      // per word: digest, check and add
	DecodeNanos  float64 `json:"decode_ns"`   // per coordinate: decode, divide, apply to the model
	KeyPair      float64 `json:"key_pair_us"` // X-Wing
	Encapsulate  float64 `json:"encapsulate_us"`
	Decapsulate  float64 `json:"decapsulate_us"`
	Sign         float64 `json:"sign_us"` // Ed25519
	Verify       float64 `json:"verify_us"`
	ShamirMicros float64 `json:"shamir_term_us"` // per share and coefficient, to split and to recover
	// Under noise: to rotate a word, and to draw its noise.
	RotateNanos float64 `json:"rotate_ns"`
	NoiseNanos  float64 `json:"noise_ns"`
	// Scheme oneshot.
	EncryptNanos   float64 `json:"encrypt_ns"`    // per word: encrypt and digest
	AddCipherNanos float64 `json:"add_cipher_ns"` // per word: digest, check and add
	DecryptNanos   float64 `json:"decrypt_ns"`    // per word and sum
	WriteLetter    float64 `json:"write_letter_us"`
	ReadLetter     float64 `json:"read_letter_us"` // verify, open and check, and once more to add
	Verdict        float64 `json:"verdict_us"`     // per client: the members' word on it
}

var unitCosts = UnitCosts{MaskNanos: 1.2, EncodeNanos: 3, PackNanos: 3.5, AddNanos: 3, DecodeNanos: 5,
	KeyPair: 45, Encapsulate: 75, Decapsulate: 50, Sign: 25, Verify: 65, ShamirMicros: 0.05,
	RotateNanos: 3, NoiseNanos: 25, EncryptNanos: 20, AddCipherNanos: 3.6, DecryptNanos: 12, WriteLetter: 120, ReadLetter: 480, Verdict: 45}

// Time is what an attempt takes on one core, training and network apart. It is an
// estimate: counts of operations times UnitCosts.
type Time struct {
	ClientKeysMS   float64 `json:"client_keys_ms"`   // the roster, exchange of keys, shares and signatures
	ClientVectorMS float64 `json:"client_vector_ms"` // encoding, masking, packing
	// The coordinator's work for each upload, and its opening of the sum if nobody
	// dropped out, and if as many as planned did after they had shared their keys.
	UploadMS       float64   `json:"coordinator_upload_ms"`
	OpenMS         float64   `json:"coordinator_open_ms"`
	OpenDropoutsMS *float64  `json:"coordinator_open_dropouts_ms"`
	AttemptMS      float64   `json:"coordinator_attempt_ms"` // all uploads and the opening
	UnitCosts      UnitCosts `json:"unit_costs"`
}

func timeOf(f *Findings) Time {
	switch {
	case f.Oneshot != nil:
		return oneshotTime(f)
	case f.Graph != nil:
		return pairwiseTime(f)
	}
	u := unitCosts
	words, sums := float64(f.Encoding.Words), float64(f.sums())
	t := Time{UnitCosts: u, ClientVectorMS: words * (u.EncodeNanos + u.PackNanos) / 1e6, UploadMS: words*u.AddNanos/1e6 + u.Verify/1e3,
		ClientKeysMS: u.Sign / 1e3, OpenMS: sums * words * u.DecodeNanos / 1e6}
	return t.whole(f)
}

// addNoise counts rotations, and noise where it is drawn: by each client, under mode
// central by the coordinator for each sum, and where sums are filled up by the coordinator
// for as many shares as are missing in the smallest.
func (t *Time) addNoise(f *Findings) {
	if f.Privacy.Noise == nil {
		return
	}
	words, sums, drawn := float64(f.Encoding.Words), float64(f.sums()), t.UnitCosts.RotateNanos
	if f.Privacy.Mode != "central" {
		t.ClientVectorMS += words * t.UnitCosts.NoiseNanos / 1e6
		drawn += float64(max(0, f.Privacy.Noise.Filled-f.Rounds.Minimum)) * t.UnitCosts.NoiseNanos
	} else {
		drawn += t.UnitCosts.NoiseNanos
	}
	t.ClientVectorMS += words * t.UnitCosts.RotateNanos / 1e6
	t.OpenMS += sums * words * drawn / 1e6
	if t.OpenDropoutsMS != nil {
		*t.OpenDropoutsMS += sums * words * drawn / 1e6
	}
}

// whole adds up an attempt. Each client verifies that everybody in the roster was
// enrolled, unless a committee does.
func (t Time) whole(f *Findings) Time {
	t.addNoise(f)
	if f.Oneshot == nil {
		t.ClientKeysMS += float64(f.Rounds.Invited) * t.UnitCosts.Verify / 1e3
	}
	t.AttemptMS = float64(f.Rounds.Invited)*t.UploadMS + t.OpenMS
	return t
}

// pairwiseTime counts a session for each bucket.
func pairwiseTime(f *Findings) Time {
	u, g := unitCosts, f.Graph
	words, sums := float64(f.Encoding.Words), float64(f.sums())
	k, m, q, n, th := float64(g.Degree), float64(g.neighbours()), float64(g.Quorum), float64(g.Clients), float64(g.Threshold)
	t := Time{UnitCosts: u,
		ClientVectorMS: words * (u.EncodeNanos + u.PackNanos + (m+1)*u.MaskNanos) / 1e6,
		ClientKeysMS: (2*u.KeyPair + 5*u.Sign + // advertise, and each signature of one's own
			m*u.Verify + (k+m/2)*u.Encapsulate + 2*k*th*u.ShamirMicros + // share
			m*u.Verify + (k+m/2)*u.Decapsulate + // receive
			(q+k)*u.Verify) / 1e3, // the quorum, and the commit frames of those whose shares it holds
		UploadMS: words*u.AddNanos/1e6 + 5*u.Verify/1e3, // with the other messages of the same client
	}
	decode := words * u.DecodeNanos / 1e6
	t.OpenMS = sums * (decode + (n*words*u.MaskNanos/1e3+n*th*th*u.ShamirMicros)/1e3)
	if d := float64(g.MaxDropouts); d > 0 {
		left := n - d // each rebuilt key opens the masks to the neighbours that are left
		edges := d * m * left / (n - 1)
		v := sums * (decode + ((left+edges)*words*u.MaskNanos/1e3+n*th*th*u.ShamirMicros+d*u.KeyPair+edges/2*(u.Encapsulate+u.Decapsulate))/1e3)
		t.OpenDropoutsMS = &v
	}
	return t.whole(f)
}

// oneshotTime: drop-outs cost nothing.
func oneshotTime(f *Findings) Time {
	u, o := unitCosts, f.Oneshot
	words, sums, m, q := float64(f.Encoding.Words), float64(f.sums()), float64(o.Members), float64(o.Quorum)
	t := Time{UnitCosts: u,
		ClientVectorMS: words * (u.EncodeNanos + u.EncryptNanos) / 1e6,
		ClientKeysMS:   ((m+q)*u.Verify + m*u.WriteLetter + u.Sign) / 1e3, // announcements and quorum, letters, the frame
		UploadMS:       words*u.AddCipherNanos/1e6 + (u.Verify+u.Verdict)/1e3,
		OpenMS:         sums * words * (u.DecryptNanos + u.DecodeNanos) / 1e6,
	}
	return t.whole(f)
}

// memberTime is what a committee member does in an attempt, in milliseconds: it
// verifies the roster, and reads all letters twice.
func memberTime(f *Findings) float64 {
	u := unitCosts
	return float64(f.Rounds.Invited) * (u.ReadLetter + u.Verify) / 1e3
}

// Memory is what the coordinator holds for one attempt at its largest: vectors that
// do not depend on the number of clients, and messages that do. A process takes up
// to twice that, and what its connections buffer, beside it.
type Memory struct {
	Vectors  int64 `json:"vectors"`
	Messages int64 `json:"messages"`
	// SpoolDisk is the disk that uploads may take before they are added.
	SpoolDisk int64 `json:"spool_disk"`
}

// memoryOf counts the sums (4 bytes a masked word; 8 for each 53 bits of a
// ciphertext), and while they are opened their words (4), the means (8 each), the
// model (4) and the optimiser's moments. Buckets that are opened only after a spoiled
// sum count too.
func memoryOf(p plan.Plan, f *Findings) Memory {
	d, words, sums := int64(f.Parameters), int64(f.Encoding.Words), int64(1)
	if f.Buckets != nil {
		sums = int64(f.Buckets.Count)
	}
	moments := optimizer.New(p.Optimizer(), 1).Size()
	m := Memory{Vectors: sums*(4*words+8*d) + (4+moments)*d, SpoolDisk: int64(f.Rounds.Invited) * f.Bytes.Upload}
	for _, phase := range f.Bytes.Phases {
		if phase.Name != "upload" {
			m.Messages += int64(f.Rounds.Invited) * phase.Up
		}
	}
	if o := f.Oneshot; o != nil {
		m.Vectors += sums * o.Body * 64 / 53
		m.Messages += int64(o.Members) * o.Member.Up
	}
	return m
}
