package plan_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/secagg"
)

// sealed is a scheme that a committee opens. Its parameters are the policy that it
// was given.
type sealed struct{ secagg.ServerScheme }

func (sealed) Name() string         { return "sealed" }
func (sealed) Roles() []secagg.Role { return []secagg.Role{secagg.RoleClient, secagg.RoleDecryptor} }
func (sealed) Views() []secagg.View {
	return []secagg.View{secagg.ViewSum, secagg.ViewBucketMeans}
}
func (sealed) Configure(p secagg.Policy) ([]byte, error) {
	return fmt.Appendf(nil, "%d %d %v %v %s", p.Minimum, p.CloseAt, p.View, p.Buckets, p.Committee.Root()), nil
}

// sumOnly is such a scheme that cannot open buckets.
type sumOnly struct{ sealed }

func (sumOnly) Name() string         { return "sum-only" }
func (sumOnly) Views() []secagg.View { return []secagg.View{secagg.ViewSum} }

// committee is one of n members, as a plan writes it.
func committee(name string, n int) plan.Committee {
	members := make([]secagg.Decryptor, n)
	for j := range members {
		seed := sha256.Sum256(fmt.Appendf(nil, "member %d", j))
		members[j] = secagg.Join(ed25519.NewKeyFromSeed(seed[:]), name, secagg.PartyID(fmt.Sprintf("org-%02d", j)))
	}
	c, err := secagg.NewCommittee(name, members, 1)
	if err != nil {
		panic(err)
	}
	out := plan.CommitteeOf(c)
	out.Corrupt = 0
	return out
}

func withCommittee(l *plan.Literal) {
	l.Scheme.Name, l.Scheme.Committee = "sealed", committee("panel", 7)
}

func inBuckets(l *plan.Literal) {
	withCommittee(l)
	l.Aggregation.View, l.Aggregation.Buckets = "bucket_means", plan.Buckets{Size: 5, Minimum: 3}
}

func falling(l *plan.Literal) {
	withCommittee(l)
	l.Aggregation.Fallback, l.Aggregation.Buckets = "bucket_means", plan.Buckets{Size: 5, Minimum: 3}
}

func TestContradictionsOfCommitteeAndViewAreRefusedUnderTheirKeys(t *testing.T) {
	for name, c := range map[string]struct {
		begin, change func(*plan.Literal)
		key           string
	}{
		"no committee":             {withCommittee, func(l *plan.Literal) { l.Scheme.Committee = plan.Committee{} }, "scheme.committee"},
		"committee nobody needs":   {withCommittee, func(l *plan.Literal) { l.Scheme.Name = "plain" }, "scheme.committee"},
		"committee without a name": {withCommittee, func(l *plan.Literal) { l.Scheme.Committee.Name = "" }, "scheme.committee"},
		"only a number of corrupt": {withCommittee, func(l *plan.Literal) { l.Scheme.Name, l.Scheme.Committee = "plain", plan.Committee{Corrupt: 1} }, "scheme.committee"},
		"too small a committee":    {withCommittee, func(l *plan.Literal) { l.Scheme.Committee.Members = l.Scheme.Committee.Members[:3] }, "scheme.committee"},
		"member twice": {withCommittee, func(l *plan.Literal) { l.Scheme.Committee.Members[1] = l.Scheme.Committee.Members[0] },
			"scheme.committee"},
		"members of another committee": {withCommittee, func(l *plan.Literal) { l.Scheme.Committee.Name = "other" }, "scheme.committee"},
		"too many corrupt":             {withCommittee, func(l *plan.Literal) { l.Scheme.Committee.Corrupt = 3 }, "scheme.committee"},
		"negative corrupt":             {withCommittee, func(l *plan.Literal) { l.Scheme.Committee.Corrupt = -1 }, "scheme.committee"},
		"key of another length":        {withCommittee, func(l *plan.Literal) { l.Scheme.Committee.Members[2].Key = "AAAA" }, "scheme.committee"},
		"key with more behind it": {withCommittee, func(l *plan.Literal) {
			m := &l.Scheme.Committee.Members[2]
			m.Key = m.Key[:43] + "A" // in place of the filling
		}, "scheme.committee"},
		"key that is no base64": {withCommittee, func(l *plan.Literal) { l.Scheme.Committee.Members[2].Key = "*" }, "scheme.committee"},
		"signature cut": {withCommittee, func(l *plan.Literal) {
			m := &l.Scheme.Committee.Members[2]
			m.Signature = m.Signature[:len(m.Signature)-4]
		}, "scheme.committee"},
		"file not loaded": {withCommittee, func(l *plan.Literal) {
			l.Scheme.Committee, l.Scheme.CommitteeFile = plan.Committee{}, "committee.yaml"
		}, "scheme.committee_file"},
		"unknown view":             {inBuckets, func(l *plan.Literal) { l.Aggregation.View = "weights" }, "aggregation.view"},
		"view without buckets":     {inBuckets, func(l *plan.Literal) { l.Aggregation.Buckets = plan.Buckets{} }, "aggregation.buckets"},
		"buckets without a view":   {inBuckets, func(l *plan.Literal) { l.Aggregation.View = "sum" }, "aggregation.buckets"},
		"buckets without minimum":  {inBuckets, func(l *plan.Literal) { l.Aggregation.Buckets.Minimum = 0 }, "aggregation.buckets"},
		"bucket minimum above all": {inBuckets, func(l *plan.Literal) { l.Aggregation.Buckets.Minimum = 6 }, "aggregation.buckets"},
		"negative bucket":          {inBuckets, func(l *plan.Literal) { l.Aggregation.Buckets = plan.Buckets{Size: -2, Minimum: -3} }, "aggregation.buckets"},
		"bucket above the cohort":  {inBuckets, func(l *plan.Literal) { l.Aggregation.Buckets.Size = 21 }, "aggregation.buckets.size"},
		"bucket above the minimum": {inBuckets, func(l *plan.Literal) { l.Aggregation.Buckets = plan.Buckets{Size: 20, Minimum: 13} }, "plan"},
		"view the scheme has not":  {inBuckets, func(l *plan.Literal) { l.Scheme.Name = "sum-only" }, "aggregation.view"},
		"fallback of a view":       {inBuckets, func(l *plan.Literal) { l.Aggregation.Fallback = "bucket_means" }, "aggregation.fallback"},
		"unknown fallback":         {falling, func(l *plan.Literal) { l.Aggregation.Fallback = "sum" }, "aggregation.fallback"},
		"fallback without buckets": {falling, func(l *plan.Literal) { l.Aggregation.Buckets = plan.Buckets{} }, "aggregation.buckets"},
		"fallback it cannot open":  {falling, func(l *plan.Literal) { l.Scheme.Name = "sum-only" }, "aggregation.fallback"},
		"close below the minimum":  {withCommittee, func(l *plan.Literal) { l.Cohort.CloseAt = l.Cohort.Minimum - 1 }, "cohort.close_at"},
		"close above the cohort":   {withCommittee, func(l *plan.Literal) { l.Cohort.CloseAt = l.Cohort.Size + 1 }, "cohort.close_at"},
		"negative close":           {withCommittee, func(l *plan.Literal) { l.Cohort.CloseAt = -1 }, "cohort.close_at"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			l := sound()
			c.begin(&l)
			_, err := checkPlan(l)
			require.NoError(t, err)
			c.change(&l)
			_, err = checkPlan(l)
			require.Error(t, err)
			require.Equal(t, []string{c.key}, refusals(t, err), "one line for one contradiction")
		})
	}
}

func TestCommitteeOfAPlanIsThatOfItsTerms(t *testing.T) {
	l := sound()
	withCommittee(&l)
	l.Scheme.CommitteeFile = "committee.yaml" // from which it was loaded
	p, err := checkPlan(l)
	require.NoError(t, err)
	c := p.Terms().Committee
	require.Equal(t, []int{7, 2, 5}, []int{c.Len(), c.Corrupt(), c.Quorum()}, "a third may be corrupt, if nothing is said")
	require.Equal(t, "panel", c.Name())
	require.Equal(t, secagg.ViewSum, p.Terms().View)
	require.Equal(t, 12, p.Terms().Smallest())
	require.Equal(t, "mean", p.Rule().Name())

	l.Scheme.Committee.Corrupt = 1
	p, err = checkPlan(l)
	require.NoError(t, err)
	require.Equal(t, 1, p.Terms().Committee.Corrupt())
	require.NotEqual(t, c.Root(), p.Terms().Committee.Root())
}

func TestSchemeIsConfiguredForAllThatThePlanOpens(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*plan.Literal)
		says   string
	}{
		"sum":      {withCommittee, "12 0 sum {0 0} "},
		"buckets":  {inBuckets, "12 0 bucket_means {5 3} "},
		"fallback": {falling, "12 0 sum {5 3} "},
		"buffered": {func(l *plan.Literal) { withCommittee(l); l.Cohort.CloseAt = 15 }, "12 15 sum {0 0} "},
	} {
		t.Run(name, func(t *testing.T) {
			l := sound()
			c.change(&l)
			p, err := checkPlan(l)
			require.NoError(t, err)
			terms, err := secagg.DecodeTerms(p.Terms().Encode())
			require.NoError(t, err)
			require.Equal(t, c.says+terms.Committee.Root().String(), string(terms.SchemeParameters))
			require.Equal(t, name == "fallback", terms.Fallback)
			require.Equal(t, map[bool]int{true: 12, false: 3}[terms.Buckets == secagg.Buckets{}], terms.Smallest())
		})
	}
}

func TestPlanWithACommitteeSurvivesItsFile(t *testing.T) {
	for name, change := range map[string]func(*plan.Literal){"buckets": inBuckets, "fallback": falling, "buffered": func(l *plan.Literal) {
		withCommittee(l)
		l.Cohort.CloseAt, l.Scheme.CommitteeFile, l.Scheme.Committee.Corrupt = 13, "keys/committee.yaml", 1
	}} {
		t.Run(name, func(t *testing.T) {
			l := sound()
			change(&l)
			text, err := l.Format()
			require.NoError(t, err)
			back, err := parse(text)
			require.NoError(t, err, text)
			require.Equal(t, l, back, text)
			p, err := checkPlan(l)
			require.NoError(t, err)
			q, err := checkPlan(back)
			require.NoError(t, err)
			require.Equal(t, p.Digest(), q.Digest())
		})
	}
	file, err := plan.Parse("plan.yaml", strings.NewReader("scheme:\n  name: sealed\n  committee_file: c.yaml\naggregation:\n  buckets: {size: 5, minimum: 3}\n"))
	require.NoError(t, err)
	require.Equal(t, plan.Scheme{Name: "sealed", CommitteeFile: "c.yaml"}, file.Scheme)
	require.Equal(t, plan.Buckets{Size: 5, Minimum: 3}, file.Aggregation.Buckets)
}
