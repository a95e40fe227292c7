package oneshot

import (
	"bytes"
	"testing"

	"github.com/choir-fl/choir/secagg"
)

// FuzzMessages parses what members send and are sent, and encodes it again.
func FuzzMessages(f *testing.F) {
	const members, clients = 7, 50
	context := secagg.Hash("context")
	q := &quorum{}
	q.add(1, make([]byte, signatureSize))
	s := start{nonces: []byte("nonces"), quorum: *q}
	v := verdicts{first: 3, list: []verdict{{ok: true, values: [4]uint32{1, 2, 3, 1<<31 - 2}}, {}}}
	a := announcement{epoch: 7, key: make([]byte, publicKeySize), commitment: make([]byte, 32), signature: make([]byte, signatureSize)}
	r := record{round: secagg.RoundID{Job: "job", Round: 1, Attempt: 2}, epoch: 3, nonce: make([]byte, nonceSize), context: context, seed: context, u: newSet(clients), uploads: context}
	p := Parameters{Corrupt: 1, Clients: 2, Set: "M", CrossSilo: true, Attempts: 1}
	for kind, b := range [][]byte{envelope(context, phaseAgree, []byte("x")), q.encode(), s.encode(), v.encode(), a.encode(), r.encode(), p.Encode(), encodeCount(5), newSet(clients), make([]byte, 2*8*4)} {
		f.Add(kind, b)
		f.Add(kind, b[1:])
	}
	f.Fuzz(func(t *testing.T, kind int, b []byte) {
		var again []byte
		var err error
		switch kind {
		case 0:
			var c secagg.Digest
			var phase int
			var body []byte
			c, phase, body, err = openEnvelope(b)
			again = envelope(c, phase, body)
		case 1:
			var m quorum
			m, err = decodeQuorum(b, members)
			again = m.encode()
		case 2:
			var m start
			m, err = decodeStart(b, members)
			again = m.encode()
		case 3:
			var m verdicts
			m, err = decodeVerdicts(b, clients)
			again = m.encode()
		case 4:
			var m announcement
			m, err = decodeAnnouncement(b)
			again = m.encode()
		case 5:
			var m record
			m, err = decodeRecord(b)
			again = m.encode()
		case 6:
			var m Parameters
			m, err = DecodeParameters(b)
			again = m.Encode()
		case 7:
			var n int
			n, err = decodeCount(b, clients)
			again = encodeCount(n)
		case 8:
			var m set
			m, err = decodeSurvivors(b, clients)
			again = m
		case 9:
			var m [][]uint32
			m, err = decodeSums(b, 2, 8)
			s := sums{sums: m}
			if err == nil {
				again, err = s.encode()
			}
		default:
			return
		}
		if err == nil && !bytes.Equal(again, b) {
			t.Fatalf("kind %d: %x is encoded again as %x", kind, b, again)
		}
	})
}
