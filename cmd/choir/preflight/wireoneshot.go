package preflight

import (
	"math/bits"

	"github.com/choir-fl/choir/coordinator/plan"
)

// oneshotBytes follows package oneshot message by message, for a client and for a
// member of the committee; its test drives real parties and compares.
func oneshotBytes(p plan.Plan, o *Oneshot) (client, member Bytes) {
	f, g := frame{p, p.Invited()}, o.figures
	wrap := func(body int) int { return record(digestSize, 1, body) }
	down := func(body int) int { return f.envelope(wrap(body), 0) }

	announcement := record(1, publicKeySize, digestSize, signatureSize)
	announced := record(o.Members * item(record(announcement)))
	quorum := record(signers(o.Quorum), o.Quorum*signatureSize)
	start := record(o.Members*nonceSize, quorum)
	verdicts := record(0, f.n, g.MemberVerdicts-f.n)

	f.join(&client)
	size := client.uploadOf(p, int(g.Upload))
	client.add("upload", size+g.Frame, f.first(wrap(start), f.roster(), announced))
	client.add("over", 0, f.over())

	member.add("announce", announcement, f.task())
	member.add("context", wrap(signatureSize), f.first(wrap(0), f.roster(), announced))
	member.add("reveal", wrap(nonceSize), down(quorum))
	member.add("seed", wrap(signatureSize), down(o.Members*nonceSize))
	member.add("upload", wrap(verdicts), down(start)+int(g.MemberLetters))
	member.add("records", wrap(verdicts), down(record(number(f.n))))
	member.add("agree", wrap(signatureSize), down((f.n+7)/8))
	member.add("unmask", wrap(g.MemberAnswer/g.Buckets*opened(p, g.Buckets)), down(quorum)+int(g.MemberLetters))
	member.add("over", 0, f.over())
	return client, member
}

// opened is how many sums an attempt opens that falls back on nothing.
func opened(p plan.Plan, buckets int) int {
	if b := bucketsOf(p); b == nil || b.Fallback {
		return 1
	}
	return buckets
}

// signers is the length of a set of the first members of a committee, as a number.
func signers(members int) int { return (bits.Len(uint(1)<<members-1) + 7) / 8 }
