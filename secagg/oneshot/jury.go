package oneshot

import (
	"github.com/choir-fl/choir/secagg"
	"github.com/choir-fl/choir/secagg/oneshot/share"
)

// jury decides from the members' verdicts which clients may be in a sum. What it
// decides follows from the verdicts of the active members alone, except that a
// client that was cleared stays so: without some of the members its shares remain
// consistent.
type jury struct {
	clients  int
	corrupt  int // f: clients that a member may name
	degree   int
	active   []bool      // by member
	verdicts [][]verdict // by member, in the order of acceptance
	said     []int       // by member, how many verdicts its messages held in all
	decided  int         // uploads decided with the present members
	named    []int       // clients that each member named among these
	cleared  set
}

func newJury(a *attempt) jury {
	m := a.members()
	return jury{clients: a.clients(), corrupt: a.corrupt, degree: a.degree(), active: make([]bool, m), verdicts: make([][]verdict, m), said: make([]int, m), named: make([]int, m), cleared: newSet(a.clients())}
}

// members lists the active ones.
func (y *jury) members() []int {
	var out []int
	for j, active := range y.active {
		if active {
			out = append(out, j)
		}
	}
	return out
}

// repeats is how many times over a member may say its verdicts, as it does after a
// restart: messages are kept, and one that says little new must not cost much.
const repeats = 8

// take appends verdicts that follow on those there are. Older ones may come again,
// unchanged, though not without end.
func (y *jury) take(member int, m verdicts) (fresh bool, err error) {
	have := y.verdicts[member]
	if m.first > len(have) {
		return false, ErrMessage.At("member %d: verdicts from letter %d on, after %d", member, m.first, len(have))
	}
	for k, v := range m.list {
		if at := m.first + k; at < len(have) && have[at] != v {
			return false, secagg.ErrRepeated.At("member %d: another verdict on letter %d", member, at)
		}
	}
	if next := len(have) - m.first; next < len(m.list) {
		if y.said[member]+len(m.list) > repeats*y.clients {
			return false, ErrMessage.At("member %d: said everything %d times over", member, repeats)
		}
		y.said[member] += len(m.list)
		y.verdicts[member] = append(have, m.list[next:]...)
		return true, nil
	}
	return false, nil
}

// decide returns the clients that are cleared now; order is that of the uploads. A
// member that named more clients than can be corrupt is left out, and whatever it
// said counts no more.
func (y *jury) decide(order []int) (cleared []int) {
	for {
		members := y.members()
		for limit := y.common(members); y.decided < limit; y.decided++ {
			client := order[y.decided]
			if y.clear(members, y.decided) && !y.cleared.has(client) {
				y.cleared.add(client)
				cleared = append(cleared, client)
			}
		}
		worst := -1
		for j, n := range y.named {
			if n > y.corrupt && (worst < 0 || n > y.named[worst]) {
				worst = j
			}
		}
		if worst < 0 {
			return cleared
		}
		y.leaveOut(func(j int) bool { return j == worst })
	}
}

// common is how many uploads all of the members have judged.
func (y *jury) common(members []int) int {
	if len(members) == 0 {
		return 0
	}
	n := len(y.verdicts[members[0]])
	for _, j := range members {
		n = min(n, len(y.verdicts[j]))
	}
	return n
}

// leaveOut removes members and begins to decide anew.
func (y *jury) leaveOut(out func(member int) bool) {
	for j := range y.active {
		if y.active[j] && out(j) {
			y.active[j] = false
		}
	}
	y.decided = 0
	clear(y.named)
}

// clear decides upload k: it is good if no member names its client, be it because
// its letter was bad or because the member's values do not lie on the polynomial
// through the others'. It is also bad if too many members disagree to tell which; of
// 3c+1 members or more that cannot be the work of c. It counts who names the client.
func (y *jury) clear(members []int, k int) bool {
	named := 0
	var points, of []int
	var values [][share.Blinds]uint32
	for _, j := range members {
		if v := &y.verdicts[j][k]; v.ok {
			points, of, values = append(points, point(j)), append(of, j), append(values, v.values)
		} else {
			y.named[j]++
			named++
		}
	}
	wrong, err := share.Consistent(points, values, y.degree)
	for _, i := range wrong {
		y.named[of[i]]++
		named++
	}
	return err == nil && named == 0
}
