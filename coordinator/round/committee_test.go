package round

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/choir-fl/choir/secagg"
)

// empanelled is a stage with a committee of four, whose members 0 to 2 have announced
// themselves, and clients a and b of three.
func empanelled(t *testing.T, words ...string) *stage {
	s, _ := newStage(t, append([]string{"scheme=panel", "committee=4", "size=3", "minimum=2"}, words...)...)
	for _, name := range []string{"a", "b"} {
		_, err := s.step(CheckIn{s.now, s.member(name).id})
		require.NoError(t, err)
	}
	for _, name := range []string{"d0", "d1", "d2"} {
		_, err := s.step(Announce{s.now, address(name), []byte(name + " is here")})
		require.NoError(t, err)
	}
	return s
}

func TestAnnouncementsAreChecked(t *testing.T) {
	for name, c := range map[string]struct {
		event Announce
		err   error
	}{
		"of a stranger":         {Announce{From: address("d9"), Body: []byte("d9 is here")}, ErrNotMember},
		"under a client's name": {Announce{From: "d3", Body: []byte("d3 is here")}, ErrNotMember},
		"of a client":           {Announce{From: "a", Body: []byte("d3 is here")}, ErrNotMember},
		"that the scheme does not know": {Announce{From: address("d3"), Body: []byte("d2 is here")},
			secagg.ErrCommittee},
		"of nothing":        {Announce{From: address("d3")}, secagg.ErrCommittee},
		"after another one": {Announce{From: address("d0"), Body: []byte("d0 is there")}, secagg.ErrRepeated},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			s := empanelled(t)
			before := fingerprint(s.machine)
			c.event.At = s.now + 1
			fx, err := s.machine.Step(c.event)
			require.ErrorIs(t, err, c.err)
			require.Equal(t, Effects{}, fx)
			require.Equal(t, before, fingerprint(s.machine), "a refused event changes nothing")
		})
	}
	s := empanelled(t)
	require.True(t, s.machine.Heard(address("d0")))
	for _, name := range []secagg.PartyID{address("d3"), address("d9"), "d0", "a"} {
		require.False(t, s.machine.Heard(name), name)
	}
}

func TestAnnouncementIsKeptAsItWas(t *testing.T) {
	s := empanelled(t, "leftout=d1")
	body := []byte("d3 is here")
	_, err := s.step(Announce{s.now, address("d3"), body})
	require.NoError(t, err)
	clear(body)
	_, err = s.step(CheckIn{s.now, s.member("c").id})
	require.NoError(t, err)
	require.Equal(t, secagg.Announcements{{Body: []byte("d0 is here")}, {Body: []byte("d1 is here"), LeftOut: true}, {Body: []byte("d2 is here")},
		{Body: []byte("d3 is here")}}, s.session().Announcements)
	require.Equal(t, s.session().Announcements.Root(s.session().Committee), s.session().Binding.Committee)
	env, ok := s.machine.Envelope(address("d1"))
	require.True(t, ok)
	told, err := secagg.DecodeAnnouncements(env.Committee)
	require.NoError(t, err)
	require.Equal(t, s.session().Announcements, told)
}

// What names letters or uploads and is not its sender's to say is refused.
func TestEachPartyPlaysItsOwnPart(t *testing.T) {
	s := empanelled(t)
	must := func(ev Event, err error) {
		require.NoError(t, err)
		_, err = s.step(ev)
		require.NoError(t, err)
	}
	must(Announce{s.now, address("d3"), []byte("d3 is here")}, nil)
	must(CheckIn{s.now, s.member("c").id}, nil)
	for _, name := range []string{"d0", "d1", "d2", "d3", "a"} {
		ev, err := s.reply(name)
		must(ev, err)
	}
	require.Equal(t, Uploading, s.machine.State())
	c := secagg.Commit{Content: secagg.Hash("x"), Size: 1}
	frame := secagg.SignCommit(keyOf("d0"), s.session().Context, c)
	for name, row := range map[string]struct {
		event Event
		err   error
	}{
		"upload of a member":                 {Uploaded{s.now, address("d0"), 2, frame, c.Content, c.Size}, secagg.ErrUpload},
		"message of a client":                {Message{s.now, "b", 2, frame}, ErrState},
		"checkpoint of what is not judged":   {Checkpoint{s.now, c.Content, []int{0}}, ErrTask},
		"verdict on what is not there":       {Message{s.now, address("d0"), 2, []byte("++")}, secagg.ErrEncoding},
		"verdict under an earlier step":      {Message{s.now, address("d0"), 1, []byte("+")}, ErrStep},
		"verdict of a stranger":              {Message{s.now, address("d9"), 2, []byte("+")}, ErrNotMember},
		"verdict of a member's plain name":   {Message{s.now, "d0", 2, []byte("+")}, ErrNotMember},
		"announcement when admission closed": {Announce{s.now, address("d0"), []byte("d0 is here")}, ErrState},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			before := fingerprint(s.machine)
			fx, err := s.machine.Step(row.event)
			require.ErrorIs(t, err, row.err)
			require.Equal(t, Effects{}, fx)
			require.Equal(t, before, fingerprint(s.machine), "a refused event changes nothing")
		})
	}
	require.Empty(t, s.tasks, "nothing is added before it was judged")
	require.Equal(t, []int{0}, s.machine.Posted(address("d3"), 0))
	require.Empty(t, s.machine.Posted(address("d3"), 1))
	require.Nil(t, s.machine.Posted(address("d3"), 2))
	require.Nil(t, s.machine.Posted(address("d3"), -1))
}

// Members that have judged every letter when uploads close are not waited for: what
// they are asked then is nothing new, and no answer of theirs would end the phase.
func TestAPhaseThatWaitsForNobodyIsOverAtOnce(t *testing.T) {
	s := empanelled(t)
	must := func(ev Event, err error) {
		require.NoError(t, err)
		_, err = s.step(ev)
		require.NoError(t, err)
	}
	must(Announce{s.now, address("d3"), []byte("d3 is here")}, nil)
	must(CheckIn{s.now, s.member("c").id}, nil)
	for _, name := range []string{"d0", "d1", "d2", "d3", "a", "b", "d0", "d1", "d2", "d3"} {
		must(s.reply(name))
	}
	s.now = s.machine.deadline
	must(Tick{s.now}, nil) // without client c
	require.Equal(t, "unmask", s.machine.Phase())
	require.Equal(t, Unmasking, s.machine.State())
	_, err := s.crash()
	require.NoError(t, err)
	require.Equal(t, "unmask", s.machine.Phase(), "a replay comes as far")
	for _, name := range []string{"d0", "d1", "d2", "d3"} {
		must(s.reply(name))
	}
	require.Equal(t, Adding, s.machine.State())
}
