package preflight

import (
	"math"
	"math/bits"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/field"
	"github.com/choir-fl/choir/tensor"
)

// Bytes is what one client sends and receives in an attempt in which nobody drops
// out: canonical messages and bulk, before TLS and gRPC add their framing. Names of
// clients are counted as 16 bytes. On a sparse graph it is that of a client which
// as many others chose as it chose itself.
type Bytes struct {
	Up     int64   `json:"up"`
	Down   int64   `json:"down"`
	Phases []Phase `json:"phases"`
	// Upload is the upload alone, what it holds for a committee included, and
	// PerCoordinate its share of a parameter.
	Upload        int64   `json:"upload"`
	PerCoordinate float64 `json:"upload_per_parameter"`
}

// Phase is the traffic of one phase.
type Phase struct {
	Name string `json:"name"`
	Up   int64  `json:"up"`
	Down int64  `json:"down"`
}

func (b *Bytes) add(name string, up, down int) {
	b.Phases = append(b.Phases, Phase{name, int64(up), int64(down)})
	b.Up += int64(up)
	b.Down += int64(down)
}

// Sizes of what every message is made of.
const (
	nameSize       = 16
	keySize        = 32
	digestSize     = 32
	nonceSize      = 32
	signatureSize  = 64
	publicKeySize  = 1216 // X-Wing
	ciphertextSize = 1120 // X-Wing
	boxSize        = 80   // two sealed scalars
	knownAnswers   = 4    // words that scheme pairwise appends
)

// record is the length of a canonical record with fields of these lengths; an
// empty field is absent. See secagg.Encoder.
func record(fields ...int) int {
	n := 0
	for _, size := range fields {
		if size > 0 {
			n += 1 + item(size)
		}
	}
	return n
}

// item is the length of an item of a list.
func item(size int) int { return (bits.Len(uint(size))+6)/7 + size }

// number is the length of an integer in a field.
func number(v int) int { return (bits.Len(uint(v)) + 7) / 8 }

// identity is the length of one, and commit that of a commit frame.
var identity = record(nameSize, keySize, signatureSize)

func commit(upload, bound int) int {
	return record(record(digestSize, number(upload), bound), signatureSize)
}

// frame is everything around a scheme's messages.
type frame struct {
	p plan.Plan
	n int
}

func (f frame) round() secagg.RoundID {
	return secagg.RoundID{Job: f.p.Job(), Round: uint32(f.p.Rounds()), Attempt: 1}
}

// envelope is the length of an instruction on its way to a client.
func (f frame) envelope(body int, roster int) int {
	return f.first(body, roster, 0)
}

// first is the length of a party's first envelope, with the roster and what the
// committee announced.
func (f frame) first(body, roster, announced int) int {
	return record(len(f.round().Encode()), 1, roster, body, 0, 0, 0, announced)
}

// join counts the offer of a task, the client's joining, and the model.
func (f frame) join(b *Bytes) {
	b.add("join", identity, f.task())
	b.add("model", 0, int(tensor.Size(f.p.Terms().Tensors)))
	if f.p.Terms().Weiszfeld != (secagg.Weiszfeld{}) {
		b.add("centre", 0, int(tensor.Size(f.p.Terms().Tensors)))
	}
}

// task is the length of the offer of a task.
func (f frame) task() int {
	t := secagg.Task{Round: f.round(), Terms: f.p.Terms(), Rest: f.p.Rest(), Model: secagg.Hash("model"), ModelSize: tensor.Size(f.p.Terms().Tensors)}
	if t.Terms.Committee.Len() > 0 {
		t.Authority = secagg.Hash("authority")
	}
	if t.Terms.Weiszfeld != (secagg.Weiszfeld{}) {
		t.Centre = secagg.Hash("centre")
	}
	if f.p.Guarantee().Stated() {
		t.ClipNorm, t.Ledger = t.Terms.Encoding.ClipNorm, secagg.LedgerHead{Count: uint64(2 * f.p.Rounds() * f.p.Attempts()), Digest: secagg.Hash("ledger")}
	}
	return len(t.Encode())
}

// roster is the length of the list of all admitted clients.
func (f frame) roster() int { return record(f.n * item(identity)) }

// over is the last envelope.
func (f frame) over() int { return record(len(f.round().Encode()), 1, 0, 0, 1, 1) }

// upload notes the bulk of an upload of so many words.
func (b *Bytes) upload(p plan.Plan, words int) int {
	return b.uploadOf(p, field.PackedLen(words, p.Quantizer().WordBits()))
}

func (b *Bytes) uploadOf(p plan.Plan, size int) int {
	b.Upload, b.PerCoordinate = int64(size), float64(size)/float64(p.Terms().Tensors.Total())
	return size
}

func plainBytes(p plan.Plan) Bytes {
	f := frame{p, p.Invited()}
	var b Bytes
	f.join(&b)
	size := b.upload(p, p.Quantizer().Layout().Len())
	b.add("upload", size+commit(size, 0), f.envelope(len("upload"), f.roster()))
	b.add("over", 0, f.over())
	return b
}

// pairwiseBytes follows package pairwise message by message; its test drives real
// parties and compares.
func pairwiseBytes(p plan.Plan, g Graph) Bytes {
	f := frame{p, p.Invited()}
	n, k := g.Clients, g.Degree
	m := g.neighbours()
	set := (n + 7) / 8
	wrap := func(body int) int { return record(digestSize, 1, body) }
	down := func(body int) int { return f.envelope(wrap(body), 0) }

	advertisement := record(publicKeySize, publicKeySize, digestSize, signatureSize)
	choice := record(digestSize, set, signatureSize)
	// each adds up what goes to or comes from all m neighbours. A part for a holder
	// has a box; half of them, whoever is the holder, have a mask.
	each := func(around func(part int) int) int {
		size := func(channel, box, kem int) float64 { return float64(around(record(number(n), channel, box, kem))) }
		holder := size(ciphertextSize, boxSize, 0) + size(ciphertextSize, boxSize, ciphertextSize)
		other := size(0, 0, 0) + size(0, 0, ciphertextSize)
		return int(math.Round(float64(k)*holder/2 + float64(m-k)*other/2))
	}
	depth := bits.Len(uint(m - 1))
	sharing := record(each(item), signatureSize)
	parcels := each(func(part int) int { return item(record(part, 1, depth*digestSize, signatureSize)) })

	var b Bytes
	f.join(&b)
	b.add("advertise", wrap(advertisement), f.envelope(wrap(0), f.roster()))
	b.add("choose", wrap(choice), down(record(set, n*digestSize)))
	b.add("share", wrap(sharing), down(record(set, m*item(advertisement), m*item(choice))))
	size := b.upload(p, p.Quantizer().Layout().Len()+knownAnswers)
	frame := commit(size, digestSize)
	b.add("upload", size+frame, down(record(set, parcels)))
	b.add("agree", wrap(record(signatureSize)), down(record(set)))
	b.add("unmask", wrap(record(set, k*keySize)), down(record(set, g.Quorum*signatureSize, set, k*item(frame))))
	b.add("over", 0, f.over())
	return b
}

// neighbours is how many clients one shares masks with: those that it chose and
// those that chose it.
func (g Graph) neighbours() int {
	if g.Complete {
		return g.Clients - 1
	}
	return 2*g.Degree - (g.Degree*g.Degree+g.Clients/2)/(g.Clients-1)
}
