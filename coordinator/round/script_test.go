package round

import (
	"crypto/ed25519"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/secagg"
)

// Scripts in testdata are blocks of commands, each block followed by ---- and by
// what the machine did. `go test -run Scripts -rewrite` records them anew; the
// difference is to be read before it is believed. The commands:
//
//	plan WORDS            begin an attempt (words: see newStage)
//	wait SECONDS          let time pass unseen; tick SECONDS also tells the machine
//	admit NAMES           they check in, in this order
//	imposter NAME         a check-in under that name with another key
//	announce NAMES        these committee members (d0, d1, ...) announce themselves
//	say NAME TEXT         a message of that text
//	answer NAMES          they answer their instruction; "all" is who is in the roster
//	prepare NAME          it makes its answer, and does not send it
//	send NAME [STEP]      it sends its last answer (again), under that step
//	wrong NAME            it sends another upload or message than the one it made
//	corrupt NAME          what was stored is not what its frame commits to
//	leave NAMES           they say that they will not answer
//	done [ID]             all outstanding tasks, or that one, succeed
//	broken ID TEXT        that task fails
//	opened ID SPOILED LIARS   the sums are open, but for these buckets, in spite of these parties; - for none
//	spoiled ID            no sum could be opened
//	checkpoint NAMES      their uploads are durable in one blob
//	committed, abort TEXT
//	crash                 the machine is rebuilt from its journal
//	envelope NAMES        what there is to say to them
//	posted NAMES          whose letters there are for them
//	state                 where the machine stands
var rewrite = flag.Bool("rewrite", false, "record the output of the scripts anew")

func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	reached := map[[2]State]bool{}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			require.NoError(t, err)
			p := &player{t: t, reached: reached}
			got := p.play(string(raw))
			if *rewrite {
				require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
			}
			require.Equal(t, string(raw), got)
			again := &player{t: t, reached: reached}
			again.play(string(raw))
			require.Equal(t, len(p.raw), len(again.raw))
			for i := range p.raw {
				require.Equal(t, p.raw[i], again.raw[i], "the same events give the same effects byte for byte")
			}
		})
	}
	if t.Failed() {
		return
	}
	for from, row := range moves {
		for _, to := range row.next {
			require.True(t, reached[[2]State{from, to}], "no script moves from %s to %s", from, to)
		}
	}
	for move := range reached {
		require.Contains(t, moves[move[0]].next, move[1], "a script moved from %s", move[0])
	}
}

// player runs one script.
type player struct {
	t       *testing.T
	s       *stage
	out     strings.Builder
	reached map[[2]State]bool
	raw     []string // effects in full
}

func (p *player) play(script string) string {
	var text strings.Builder
	for i, block := range strings.Split(strings.TrimSpace(script), "\n\n") {
		if i > 0 {
			text.WriteString("\n")
		}
		commands, _, _ := strings.Cut(block+"\n", "----\n")
		p.out.Reset()
		for line := range strings.Lines(commands) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				said := p.out.String()
				line, quiet := strings.CutPrefix(line, "- ")
				w := strings.Fields(line)
				p.command(w[0], w[1:])
				if quiet {
					require.NotContains(p.t, p.out.String()[len(said):], "refused", line)
					p.out.Reset()
					p.out.WriteString(said)
				}
			}
		}
		text.WriteString(commands)
		if p.out.Len() > 0 {
			text.WriteString("----\n" + p.out.String())
		}
	}
	return text.String()
}

func (p *player) command(verb string, words []string) {
	s := p.s
	if verb == "plan" {
		var fx Effects
		p.s, fx = newStage(p.t, words...)
		p.s.seen = func(from, to State) { p.reached[[2]State{from, to}] = true }
		p.report("begin", fx, nil)
		return
	}
	if slices.Equal(words, []string{"all"}) {
		words = s.everybody()
	}
	number := func(i int) int {
		n, err := strconv.Atoi(words[i])
		require.NoError(p.t, err)
		return n
	}
	switch verb {
	case "wait", "tick":
		s.now += Instant(number(0)) * Instant(time.Second)
		if verb == "tick" {
			p.step("tick", Tick{s.now})
		}
	case "admit":
		for _, n := range words {
			p.step("admit "+n, CheckIn{s.now, s.member(n).id})
		}
	case "announce":
		for _, n := range words {
			p.step("announce "+n, Announce{s.now, address(n), []byte(n + " is here")})
		}
	case "say":
		p.step(verb+" "+strings.Join(words, " "), Message{s.now, address(words[0]), s.machine.step, []byte(words[1])})
	case "opened":
		ev := TaskDone{At: s.now, Task: TaskID(number(0)), Spoiled: numbers(p.t, words[1]), Liars: numbers(p.t, words[2])}
		p.step("opened "+words[0], ev)
	case "spoiled":
		p.step("spoiled "+words[0], TaskDone{At: s.now, Task: TaskID(number(0)), Err: secagg.ErrSpoiled, Spoiled: []int{0}})
	case "posted":
		for _, n := range words {
			fmt.Fprintf(&p.out, "posted %s: %v\n", n, s.machine.Posted(address(n), 0))
		}
	case "imposter":
		key := keyOf("imposter").Public().(ed25519.PublicKey)
		p.step("imposter", CheckIn{s.now, secagg.Enrol(keyOf("authority"), secagg.PartyID(words[0]), key)})
	case "answer", "prepare":
		for _, n := range words {
			ev, err := s.reply(n)
			if err != nil {
				fmt.Fprintf(&p.out, "%s %s: client: %v\n", verb, n, err)
				continue
			}
			s.member(n).last = ev
			if verb == "answer" {
				p.step("answer "+n, ev)
			}
		}
	case "send":
		step := -1
		if len(words) > 1 {
			step = number(1)
		}
		p.step("send "+strings.Join(words, " "), resent(s.member(words[0]).last, s.now, step))
	case "wrong", "corrupt":
		p.step(verb+" "+words[0], p.forged(verb, s.member(words[0])))
	case "leave":
		for _, n := range words {
			p.step("leave "+n, Leave{s.now, address(n)})
		}
	case "done":
		tasks := slices.Clone(s.tasks)
		if len(words) > 0 {
			tasks = []Task{{ID: TaskID(number(0))}}
		}
		s.tasks = nil
		for _, t := range tasks {
			p.step(fmt.Sprintf("done %d", t.ID), TaskDone{At: s.now, Task: t.ID})
		}
	case "broken":
		p.step("broken "+words[0], TaskDone{At: s.now, Task: TaskID(number(0)), Err: errors.New(strings.Join(words[1:], " "))})
	case "checkpoint":
		p.step("checkpoint", Checkpoint{s.now, secagg.Hash("checkpoint", []byte(strings.Join(words, " "))), s.indices(words)})
	case "committed":
		p.step("committed", Committed{s.now})
	case "abort":
		p.step("abort", Abort{s.now, strings.Join(words, " ")})
	case "crash":
		before := s.machine.state
		fx, err := s.crash()
		p.report(fmt.Sprintf("crash in %s", before), fx, err)
	case "envelope":
		for _, n := range words {
			env, ok := s.machine.Envelope(address(n))
			fmt.Fprintf(&p.out, "envelope %s: %v step=%d roster=%v body=%v over=%v completed=%v %s\n",
				n, ok, env.Step, env.Roster != nil, env.Body != nil, env.Over, env.Completed, env.Reason)
			require.Equal(p.t, env.Roster != nil && s.session().Committee.Len() > 0, env.Committee != nil)
		}
	case "state":
		blob, in := s.machine.Checkpointed()
		fmt.Fprintf(&p.out, "%s (%s): %d admitted, %d uploads, checkpoint %v of %v, %d records\n", s.machine.State(), s.machine.Phase(),
			s.machine.Admitted(), s.machine.Uploads(), blob != secagg.Digest{}, in, len(s.records))
	default:
		p.t.Fatalf("unknown command %q", verb)
	}
}

// resent is an event sent again at another time, and under another step if it is not negative.
func resent(ev Event, at Instant, step int) Event {
	switch ev := ev.(type) {
	case Message:
		if ev.At = at; step >= 0 {
			ev.Step = uint32(step)
		}
		return ev
	case Uploaded:
		if ev.At = at; step >= 0 {
			ev.Step = uint32(step)
		}
		return ev
	}
	return ev
}

// forged is an event like the member's last: other content that it signed as well
// (wrong), or stored bytes that its frame does not commit to (corrupt).
func (p *player) forged(verb string, m *member) Event {
	switch ev := m.last.(type) {
	case Message:
		ev.Body = append(slices.Clone(ev.Body), 0)
		return ev
	case Uploaded:
		ev.Content = secagg.Hash("other content")
		if verb == "wrong" {
			ev.Frame = secagg.SignCommit(m.key, p.s.session().Context, secagg.Commit{Content: ev.Content, Size: ev.Size})
		}
		return ev
	}
	p.t.Fatalf("nothing to forge")
	return nil
}

func (p *player) step(label string, ev Event) {
	before := fingerprint(p.s.machine)
	fx, err := p.s.step(ev)
	if err != nil {
		require.Equal(p.t, before, fingerprint(p.s.machine), "a refused event changes nothing")
		require.Equal(p.t, Effects{}, fx, "a refused event has no effects")
	}
	p.report(label, fx, err)
}

var digests = regexp.MustCompile(`[0-9a-f]{64}`)

func (p *player) report(label string, fx Effects, err error) {
	for i := range fx.Tasks {
		fx.Tasks[i].Open = nil
	}
	whole := fx
	whole.Outcome = nil // printed beside it, for what it points to
	p.raw = append(p.raw, fmt.Sprintf("%s %+v %+v %v", label, whole, fx.Outcome, err), fingerprint(p.s.machine))
	say := func(format string, args ...any) {
		p.out.WriteString("  " + digests.ReplaceAllString(fmt.Sprintf(format, args...), "#") + "\n")
	}
	m := p.s.machine
	if err != nil {
		fmt.Fprintf(&p.out, "%s\n", label)
		say("refused: %v", err)
		return
	}
	fmt.Fprintf(&p.out, "%s -> %s, step %d\n", label, m.Phase(), m.step)
	if fx.Persist != nil {
		ev, err := decode(fx.Persist)
		require.NoError(p.t, err)
		say("persist %s", kindNames[ev.kind()])
	}
	if fx.Charge != 0 {
		say("%s", map[Charge]string{ChargeReserve: "reserve", ChargeSettle: "settle", ChargeVoid: "void"}[fx.Charge])
	}
	if len(fx.Notify) > 0 {
		say("notify %v", fx.Notify)
	}
	for _, t := range fx.Tasks {
		say("task %d: %s", t.ID, map[TaskKind]string{TaskAdd: fmt.Sprintf("add %d to bucket %d", t.Member, t.Bucket), TaskMerge: "merge", TaskOpen: "open"}[t.Kind])
	}
	if fx.Commit {
		say("commit")
	}
	for _, a := range fx.Audit {
		say("audit: %s", a)
	}
	if o := fx.Outcome; o != nil {
		say("outcome: released=%v survivors=%v culprits=%v reason=%q", o.Released, o.Survivors, o.Culprits, o.Reason)
		if o.Spoiled != nil || o.SumSpoiled || o.Liars != nil || o.Absent != nil {
			say("spoiled=%v all=%v liars=%v absent=%v", o.Spoiled, o.SumSpoiled, o.Liars, o.Absent)
		}
	}
	if fx.Wake != 0 {
		say("wake in %ds", (fx.Wake-p.s.now)/Instant(time.Second))
	}
}
